package import Core

/// Everything that is known about one idempotency key, as `explain` tells it.
package struct KeyStory: Sendable {
    /// A request with the key, as its record says.
    package struct Request: Sendable {
        package var position: Position
        package var timestamp: Timestamp?
        package var project: String?
        package var plugin: String?
        package var hosts: Int
        package var operateAll = false
        /// The `ce_id` of the result that it was sent again for.
        package var redriveOf: String?

        package init(_ record: Record, _ fields: RequestFields) {
            position = record.position
            timestamp = record.timestamp
            project = fields.projectID
            plugin = fields.pluginCode
            hosts = fields.hostIDs.count
            operateAll = fields.operateAll ?? false
            redriveOf = record.header("redrive-of")
        }
    }

    /// What a worker's admin endpoint answered.
    package struct WorkerAnswer: Sendable {
        package var url: String
        /// The answer, or why there is none.
        package var answer: Result<JSON, Reason>

        package struct Reason: Error, Sendable {
            package var text: String
            package init(_ text: String) { self.text = text }
        }

        package init(url: String, answer: Result<JSON, Reason>) {
            self.url = url
            self.answer = answer
        }

        func request(at position: Position) -> JSON? {
            (try? answer.get())?["requests"]?.array?.first {
                $0["partition"]?.integer == Int64(position.partition) && $0["offset"]?.integer == position.offset
            }
        }
    }

    package var key: String
    package var topic: String
    package var requests: [Request] = []
    /// The values of the requests' results.
    package var results: [Position: JSON] = [:]
    /// The other keys that a call was shared with, by the call's id.
    package var sharers: [String: [String]] = [:]
    /// The group's committed offsets; nil where they could not be read.
    package var committed: [Int32: Int64]?
    /// Positions of the requests whose record is in the dead-letter topic; nil where none was named.
    package var deadLetters: Set<Position>?
    package var workers: [WorkerAnswer] = []

    package init(key: String, topic: String) {
        self.key = key
        self.topic = topic
    }

    package var isKnown: Bool { !requests.isEmpty }

    // MARK: For people

    package func lines(now: Timestamp) -> [String] {
        guard isKnown else { return ["no request with the key \(key.printable) in \(topic)"] + sources }
        var lines = ["\(key.printable): \(requests.count) request\(requests.count == 1 ? "" : "s")"]
        for request in requests {
            let time = request.timestamp.map { " at \($0)" } ?? ""
            let hosts = request.operateAll ? "all hosts" : "\(request.hosts) host\(request.hosts == 1 ? "" : "s")"
            lines.append("")
            lines.append(
                "\(topic)/\(request.position)\(time): project \((request.project ?? "-").printable), "
                    + "plugin \((request.plugin ?? "-").printable), \(hosts)")
            if let id = request.redriveOf { lines.append("  sent again for \(id.printable)") }
            lines += (results[request.position].map(answered) ?? open(request.position, now)).map { "  " + $0 }
            if deadLetters?.contains(request.position) ?? false { lines.append("  its record is a dead letter") }
        }
        return lines + [""] + sources
    }

    private func answered(_ result: JSON) -> [String] {
        let status = result["status"]?.string ?? "?"
        var lines = ["answered at \(result["completed_at"]?.string ?? "?"): \(status)"]
        if let original = result["original"] {
            lines.append(
                "it repeats \(original["id"]?.string?.printable ?? "?"), which is \(original["status"]?.string ?? "?")")
        }
        if let call = result["call"], let id = call["id"]?.string {
            let http = call["http_status"]?.integer.map { "HTTP \($0)" } ?? "no answer"
            lines.append(
                "call \(id.printable): \(http), \(call["requests"]?.integer ?? 1) requests and "
                    + "\(call["hosts"]?.integer ?? 0) hosts shared it, attempt \(result["attempts"]?.integer ?? 1)")
            let others = sharers[id] ?? []
            if !others.isEmpty {
                let more = others.count > 5 ? " and \(others.count - 5) more" : ""
                lines.append("shared with \(others.prefix(5).map(\.printable).joined(separator: ", "))\(more)")
            }
        }
        if let error = result["error"] {
            let detail = error["detail"]?.string.map { ": \($0.printable)" } ?? ""
            lines.append(
                "\(error["code"]?.string?.printable ?? "?") \(error["title"]?.string?.printable ?? "")\(detail)")
        }
        let category = (result["error"]?["category"]?.string).flatMap(Failure.Category.init(rawValue:))
        let original = (result["original"]?["status"]?.string).flatMap(Status.init(rawValue:))
        if let status = Status(rawValue: status),
            let remedy = Remedy.text(
                status, category: category, isRetryable: result["error"]?["retryable"]?.bool ?? false,
                original: original)
        {
            lines.append(remedy)
        }
        return lines
    }

    private func open(_ position: Position, _ now: Timestamp) -> [String] {
        for worker in workers {
            guard let request = worker.request(at: position) else { continue }
            return told(request, now)
        }
        guard let committed else { return ["not answered yet"] }
        let next = committed[position.partition] ?? 0
        if position.offset < next {
            return ["done, but its result is gone or older than --since: the group has committed \(next)"]
        }
        let ahead = position.offset - next
        return [
            "not answered yet: \(ahead) record\(ahead == 1 ? "" : "s") of its partition before it "
                + "\(ahead == 1 ? "is" : "are") not done either (committed: \(next))"
        ]
    }

    private func told(_ request: JSON, _ now: Timestamp) -> [String] {
        let stage =
            switch request["stage"]?.string.flatMap(Explanation.Stage.init(rawValue:)) {
            case .behindItsKey: "waits for an earlier request with this key, whose outcome answers it too"
            case .behindItsOrder: "waits for an earlier request with its Kafka key"
            case .waiting: "waits for a call"
            case .reading: "the states of its hosts are being read before its next call"
            case .called: "in call \(request["call"]?.string ?? "?"), which is not answered yet"
            case .publishing: "its result is being written"
            case nil: "open"
            }
        var lines = [stage]
        let attempts = request["attempts"]?.integer ?? 0
        if let failure = request["last_failure"] {
            lines.append(
                "\(attempts) attempt\(attempts == 1 ? "" : "s") so far, the last one failed: "
                    + "\(failure["code"]?.string?.printable ?? "?") \(failure["title"]?.string?.printable ?? "")")
        }
        lines += (request["waits_for"]?.array ?? []).compactMap(\.string).map(\.printable)
        if let next = request["next_call"], let at = next["at"]?.string.flatMap(Timestamp.init(rfc3339:)) {
            let calls = next["calls_before"]?.integer ?? 0
            lines.append(
                "next call expected at \(at) (in \(max(0, Int((at - now).seconds.rounded()))) s), after \(calls) other "
                    + "call\(calls == 1 ? "" : "s"), with \(next["requests"]?.integer ?? 1) requests and "
                    + "\(next["hosts"]?.integer ?? 0) hosts, if nothing else arrives and every call is accepted")
        }
        return lines
    }

    /// Where the story comes from.
    private var sources: [String] {
        guard !workers.isEmpty else { return ["from the topics alone; --admin names a worker to ask as well"] }
        return workers.map { worker in
            switch worker.answer {
            case .success(let json):
                json["standby"]?.bool ?? false
                    ? "\(worker.url) stands by: ask the worker that makes the calls"
                    : "from the topics and \(worker.url)"
            case .failure(let reason): "from the topics without \(worker.url): \(reason.text.printable)"
            }
        }
    }

    // MARK: For programs

    package var json: JSON {
        .object([
            .init("idempotency_key", .string(key)), .init("topic", .string(topic)),
            .init("requests", .array(requests.map(json))),
            .init(
                "workers",
                .array(
                    workers.map { worker in
                        var members: [JSON.Member] = [.init("url", .string(worker.url))]
                        switch worker.answer {
                        case .success(let json): members.append(.init("answer", json))
                        case .failure(let reason): members.append(.init("unreachable", .string(reason.text)))
                        }
                        return .object(members)
                    })),
        ])
    }

    private func json(_ request: Request) -> JSON {
        var members: [JSON.Member] = [
            .init("partition", .integer(Int64(request.position.partition))),
            .init("offset", .integer(request.position.offset)),
        ]
        func add(_ name: String, _ value: JSON?) {
            if let value { members.append(.init(name, value)) }
        }
        add("timestamp", request.timestamp.map { .string($0.description) })
        add("redrive_of", request.redriveOf.map(JSON.string))
        add("committed", committed.map { .integer($0[request.position.partition] ?? 0) })
        add("dead_letter", deadLetters.map { .bool($0.contains(request.position)) })
        add("result", results[request.position])
        if let id = results[request.position]?["call"]?["id"]?.string, let others = sharers[id] {
            add("shared_with", .array(others.map(JSON.string)))
        }
        add("open", workers.lazy.compactMap { $0.request(at: request.position) }.first)
        return .object(members)
    }
}
