internal import Core
internal import Redriving
internal import Reporting
internal import Settings

/// What `redrive` prints: counts and the plan on standard error, a line for each request on standard output. With JSON
/// all of it goes to standard output, and each object has a `type`.
nonisolated struct RedriveReport {
    private static let maximumRows = 10
    /// A request that waits longer rises above the class of `critical` ones that are newer.
    private static let longWait: Duration = .seconds(600)

    private let isJSON: Bool
    private let topic: String
    private let source: String

    init(_ settings: Settings, _ source: String) {
        isJSON = settings.value(SettingTable.json)
        topic = settings.value(SettingTable.requestsTopic)
        self.source = source
    }

    func summarize(_ records: [RedrivenRecord], _ choice: RedriveChoice, read: Int) {
        var (codes, plugins) = (Histogram(), Histogram())
        for record in records {
            codes.add(record.candidate.code ?? record.candidate.status.rawValue)
            plugins.add(record.candidate.plugin ?? "-")
        }
        let reasons = RedriveSelection.Reason.allCases.filter { choice.leftOut[$0] != nil }
        guard !isJSON else {
            func object(_ histogram: Histogram) -> JSON {
                .object(histogram.sorted.map { .init($0.name, .integer(Int64($0.count))) })
            }
            out([
                .init("type", .string("chosen")), .init("requests", .integer(Int64(records.count))),
                .init("beyond_the_limit", .integer(Int64(choice.records.count - records.count))),
                .init("code", object(codes)), .init("plugin_code", object(plugins)),
                .init(
                    "left_out",
                    .object(reasons.map { .init($0.name, .integer(Int64(choice.leftOut[$0] ?? 0))) })),
            ])
            return
        }
        Console.error("\(records.count) of \(read) in \(source) to send again")
        for (title, histogram) in [("ERROR CODE", codes), ("PLUGIN", plugins)] where !records.isEmpty {
            Console.error("\(pad(title)) REQUESTS")
            for row in histogram.sorted.prefix(Self.maximumRows) {
                Console.error("\(pad(row.name.printable)) \(row.count)")
            }
            let more = histogram.sorted.dropFirst(Self.maximumRows).reduce(0) { $0 + $1.count }
            if more > 0 { Console.error("\(pad("(other)")) \(more)") }
        }
        for reason in reasons { Console.error("left out: \(choice.leftOut[reason] ?? 0), \(reason.rawValue)") }
        if choice.records.count > records.count {
            Console.error("left for a later run: \(choice.records.count - records.count) (--limit)")
        }
    }

    func show(_ plan: RedrivePlan) {
        let seconds = Int(plan.time.seconds.rounded(.up))
        if isJSON {
            out([
                .init("type", .string("plan")), .init("calls", .integer(Int64(plan.calls))),
                .init("seconds", .integer(Int64(seconds))),
                .init("longest_wait_seconds", .integer(Int64(plan.longestWait.seconds.rounded(.up)))),
            ])
        } else {
            Console.error("plan: \(plan.calls) \(plan.calls == 1 ? "call" : "calls"), \(seconds) s")
        }
        guard plan.longestWait > Self.longWait else { return }
        Console.error(
            "plugin-starter: the last requests would wait \(Int(plan.longestWait.seconds / 60)) min, and go before "
                + "newer critical ones after a quarter of an hour: lower --rate or --limit")
    }

    /// `position`: that of the copy; nil for one that is not sent.
    func show(_ record: RedrivenRecord, sentTo position: Position?) {
        line(
            position == nil ? "would_send" : "sent", record.candidate, key: record.idempotencyKey,
            generation: record.generation, position)
    }

    func show(_ candidate: RedriveCandidate, sentBeforeTo position: Position) {
        line("sent_before", candidate, key: nil, generation: nil, position)
    }

    private func line(
        _ type: String, _ candidate: RedriveCandidate, key: String?, generation: Int?, _ position: Position?
    ) {
        guard isJSON else {
            let what = [
                key ?? "-", candidate.plugin ?? "-", candidate.status.rawValue,
                candidate.code == candidate.status.rawValue ? nil : candidate.code,
            ].compactMap { $0 }.joined(separator: " ")
            let place = position.map { "\($0)" } ?? "not sent"
            let note = generation.map { "generation \($0)" } ?? "sent before"
            return Console.print("\(what): \(candidate.resultID) -> \(place), \(note)".printable)
        }
        var members: [JSON.Member] = [.init("type", .string(type))]
        func add(_ name: String, _ value: JSON?) { if let value { members.append(.init(name, value)) } }
        add("idempotency_key", key.map(JSON.string))
        add("plugin_code", candidate.plugin.map(JSON.string))
        add("status", .string(candidate.status.rawValue))
        add("code", candidate.code.map(JSON.string))
        add("redrive_of", .string(candidate.resultID))
        add("generation", generation.map { .integer(Int64($0)) })
        add("from", .string(source))
        if let position {
            add("topic", .string(topic))
            add("partition", .integer(Int64(position.partition)))
            add("offset", .integer(position.offset))
        }
        out(members)
    }

    private func out(_ members: [JSON.Member]) { Console.print(JSON.object(members).text) }

    private func pad(_ text: String) -> String { text + String(repeating: " ", count: max(0, 24 - text.count)) }
}

extension RedriveSelection.Reason {
    fileprivate nonisolated var name: String {
        switch self {
        case .superseded: "superseded"
        case .alreadySent: "already_sent"
        case .generation: "max_generation"
        case .expired: "expired"
        case .deleted: "deleted"
        case .withoutValue: "without_value"
        case .otherTopic: "other_topic"
        }
    }
}
