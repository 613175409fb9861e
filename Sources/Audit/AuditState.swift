internal import Core

/// Where an audit stopped, as JSON lines. The file contains a head, the partitions and an end line. Each partition has
/// a line of its own, then one line for each late answer, open request and first outcome. The end line contains the
/// number of lines, which reveals a truncated file.
package struct AuditState: Sendable {
    package var rules: PartitionAudit.Rules
    package var resultsTopic: String
    package var partitions: [Int32: PartitionAudit]

    package init(rules: PartitionAudit.Rules, resultsTopic: String, partitions: [Int32: PartitionAudit]) {
        self.rules = rules
        self.resultsTopic = resultsTopic
        self.partitions = partitions
    }

    /// What is wrong with a file, completing the sentence "the file ...".
    package struct Fault: Error { package var rule: String }

    // MARK: Writing

    /// Passes each line, without its line end, to `take` in order. All lines together may be large.
    package func write(_ take: ([UInt8]) -> Void) {
        var count = 0
        func put(_ members: [JSON.Member]) {
            count += 1
            take(JSON.object(members).bytes)
        }
        put([
            .init("audit", .integer(1)), .init("requests_topic", .string(rules.requestsTopic)),
            .init("results_topic", .string(resultsTopic)),
            .init("dedupe_window_ms", .integer(rules.dedupeWindow.milliseconds)),
        ])
        for audit in partitions.values.sorted(by: { $0.partition < $1.partition }) {
            put(audit.members)
            for (offset, answer) in audit.answers.late.sorted(by: { $0.key < $1.key }) {
                put([
                    .init("late", .integer(offset)), .init("status", .string(answer.status.rawValue)),
                    .init("time", .integer(answer.time.milliseconds)),
                ])
            }
            for (offset, facts) in audit.open.sorted(by: { $0.key < $1.key }) { put(facts.members(offset)) }
            for (offset, outcome) in audit.outcomes.all.sorted(by: { $0.key < $1.key }) {
                put(outcome.members(offset))
            }
        }
        put([.init("end", .integer(Int64(count)))])
    }

    // MARK: Reading

    package init(reading bytes: [UInt8]) throws(Fault) {
        var head: AuditState?
        var current: PartitionAudit?
        var count: Int64 = 0
        var isWhole = false
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let json: JSON
            do throws(JSON.SyntaxError) { json = try JSON(parsing: Array(line)) } catch {
                throw Fault(rule: "is not an audit state: line \(count + 1) is not JSON")
            }
            let wrong = Fault(rule: "is not an audit state: line \(count + 1) has an unknown form")
            if isWhole { throw wrong }
            if count == 0 {
                guard let read = AuditState(head: json) else { throw wrong }
                head = read
            } else if let end = json["end"]?.integer {
                guard end == count else { throw wrong }
                isWhole = true
            } else if json["partition"] != nil {
                if let current { head?.partitions[current.partition] = current }
                guard let rules = head?.rules, let next = PartitionAudit(json, rules) else { throw wrong }
                current = next
            } else {
                guard current?.restore(json) ?? false else { throw wrong }
            }
            count += 1
        }
        guard let head, isWhole else { throw Fault(rule: "is not an audit state: the file is empty or truncated") }
        self = head
        if let current { partitions[current.partition] = current }
    }

    private init?(head json: JSON) {
        guard json["audit"]?.integer == 1, let requests = json["requests_topic"]?.string,
            let results = json["results_topic"]?.string, let window = json.natural("dedupe_window_ms")
        else { return nil }
        self.init(
            rules: .init(requestsTopic: requests, dedupeWindow: .milliseconds(window)), resultsTopic: results,
            partitions: [:])
    }
}

extension PartitionAudit {
    fileprivate var members: [JSON.Member] {
        [
            .init("partition", .integer(Int64(partition))), .init("begin", .integer(begin)),
            .init("requests", .integer(requestsRead)), .init("results", .integer(resultsRead)),
            .init("time", .integer(time.milliseconds)), .init("swept", .integer(sweptAt.milliseconds)),
            .init("base", .integer(answers.base)),
            .init("answers", .string(String(decoding: answers.statuses.map { $0 + 48 }, as: UTF8.self))),
            .init(
                "milestones",
                .array(answers.milestones.flatMap { [.integer($0.offset), .integer($0.time.milliseconds)] })),
        ]
    }

    fileprivate init?(_ json: JSON, _ rules: Rules) {
        guard let partition = json.natural("partition").flatMap(Int32.init(exactly:)),
            let begin = json.natural("begin"), let requests = json.natural("requests"),
            let results = json.natural("results"),
            let time = json.natural("time"), let swept = json.natural("swept"), let base = json.natural("base"),
            let statuses = json["answers"]?.string, statuses.utf8.allSatisfy({ $0 >= 48 }),
            let milestones = json["milestones"]?.array?.map(\.natural), milestones.count % 2 == 0,
            !milestones.contains(nil),
            let answers = Answers(
                base: base, statuses: statuses.utf8.map { $0 - 48 },
                milestones: stride(from: 0, to: milestones.count, by: 2).map {
                    (milestones[$0] ?? 0, Timestamp(milliseconds: milestones[$0 + 1] ?? 0))
                })
        else { return nil }
        self.init(partition: partition, rules: rules, requests: requests, results: results)
        self.begin = begin
        self.answers = answers
        self.time = Timestamp(milliseconds: time)
        sweptAt = Timestamp(milliseconds: swept)
    }

    /// Restores a line that belongs to the partition. Returns false if the line does not.
    fileprivate mutating func restore(_ json: JSON) -> Bool {
        if let offset = json.natural("open") {
            guard offset < requestsRead, let facts = RequestFacts(json) else { return false }
            open[offset] = facts
            return true
        }
        if let offset = json.natural("late") {
            guard offset < answers.base, let status = json["status"]?.string.flatMap(Status.init(rawValue:)),
                let time = json.natural("time")
            else { return false }
            answers.set(offset, status, Timestamp(milliseconds: time))
            return true
        }
        guard let offset = json.natural("outcome"), let outcome = Outcomes.Outcome(json) else { return false }
        outcomes.insert(offset, outcome)
        return true
    }
}

extension RequestFacts {
    fileprivate func members(_ offset: Int64) -> [JSON.Member] {
        var members: [JSON.Member] = [
            .init("open", .integer(offset)), .init("size", .integer(Int64(size))),
            .init("expires", .bool(hasExpiry)), .init("fields", .array(fields.map(TextDigest.json))),
            .init("record", ScopedKey(high: identity.high, low: identity.low).json),
            .init("others", .array([recordKey, traceparent, tracestate, action].map(TextDigest.json))),
        ]
        if let timestamp { members.append(.init("time", .integer(timestamp.milliseconds))) }
        if let key { members.append(.init("key", .string(key))) }
        if let redrives { members.append(.init("redrives", .integer(redrives))) }
        if let scopedKey { members.append(.init("scoped", scopedKey.json)) }
        return members
    }

    fileprivate init?(_ json: JSON) {
        guard let size = json.natural("size").flatMap(Int.init(exactly:)),
            let fields = json["fields"]?.array?.map(TextDigest.init(reading:)), fields.count == Field.allCases.count,
            let others = json["others"]?.array?.map(TextDigest.init(reading:)), others.count == 4,
            let expires = json["expires"]?.bool, let identity = json["record"].flatMap(ScopedKey.init(reading:))
        else { return nil }
        self.init(
            identity: Fingerprint(high: identity.high, low: identity.low), key: json["key"]?.string, size: size,
            fields: fields)
        hasExpiry = expires
        (recordKey, traceparent, tracestate, action) = (others[0], others[1], others[2], others[3])
        timestamp = json.natural("time").map { Timestamp(milliseconds: $0) }
        scopedKey = json["scoped"].flatMap(ScopedKey.init(reading:))
        redrives = json.natural("redrives")
    }
}

extension Outcomes.Outcome {
    fileprivate func members(_ offset: Int64) -> [JSON.Member] {
        [
            .init("outcome", .integer(offset)), .init("scoped", key.json), .init("action", TextDigest.json(action)),
            .init("status", .string(status.rawValue)), .init("retryable", .bool(isRetryable)),
            .init("time", .integer(completedAt.milliseconds)), .init("result", .integer(result)),
        ]
    }

    fileprivate init?(_ json: JSON) {
        guard let key = json["scoped"].flatMap(ScopedKey.init(reading:)),
            let status = json["status"]?.string.flatMap(Status.init(rawValue:)),
            let isRetryable = json["retryable"]?.bool, let time = json.natural("time"),
            let result = json.natural("result")
        else { return nil }
        self.init(
            key: key, action: json["action"].flatMap(TextDigest.init(reading:)), status: status,
            isRetryable: isRetryable,
            completedAt: Timestamp(milliseconds: time), result: result)
    }
}

extension JSON {
    /// An offset, time or size. It is never negative, and never so large that the sum of two overflows.
    fileprivate var natural: Int64? { integer.flatMap { (0...1 << 53).contains($0) ? $0 : nil } }

    fileprivate func natural(_ name: String) -> Int64? { self[name]?.natural }
}

extension TextDigest {
    fileprivate static func json(_ digest: TextDigest?) -> JSON {
        digest.map { .integer(Int64(bitPattern: $0.bits)) } ?? .null
    }

    fileprivate init?(reading json: JSON) {
        guard let number = json.integer else { return nil }
        self.init(bits: UInt64(bitPattern: number))
    }
}

extension ScopedKey {
    fileprivate var json: JSON {
        .array([.integer(Int64(bitPattern: high)), .integer(Int64(bitPattern: low))])
    }

    fileprivate init?(reading json: JSON) {
        guard let words = json.array?.compactMap(\.integer), words.count == 2 else { return nil }
        self.init(high: UInt64(bitPattern: words[0]), low: UInt64(bitPattern: words[1]))
    }
}
