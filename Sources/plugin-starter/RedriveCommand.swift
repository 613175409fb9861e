internal import Core
internal import Glibc
internal import Kafka
internal import Redriving
internal import Reporting
internal import Settings
internal import Worker

/// `redrive`: sends failed or dead-lettered requests again.
nonisolated enum RedriveCommand {
    private static let statuses: [Status] = [.failed, .partiallySucceeded, .rejected, .expired]

    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let isDryRun = settings.value(SettingTable.dryRun)
        let isAsking = !settings.value(SettingTable.yes) && !isDryRun
        guard !isAsking || isatty(0) == 1 && Console.errorIsTerminal else {
            throw CommandFailure(64, "yes: give --yes to send without being asked, or --dry-run; there is no terminal")
        }
        let stop = StopSignal()
        let reading = try RedriveReading(settings, try rules(settings), stop)
        let choice = try reading.choose()
        guard !stop.wasRaised else { return stopped(sent: 0, of: 0) }
        let limit = settings[SettingTable.limit] ?? 10_000
        let records = Array(choice.records.prefix(limit))
        let report = RedriveReport(settings, reading.source)
        report.summarize(records, choice, read: reading.read)
        for (candidate, copy) in choice.sentBefore { report.show(candidate, sentBeforeTo: copy) }
        let code: Int32 = choice.leftOut[.generation] == nil ? 0 : 1
        guard !records.isEmpty else { return code }
        let plan = try RedrivePlan(records, settings)
        report.show(plan)
        if isDryRun {
            for record in records { report.show(record, sentTo: nil) }
            return code
        }
        if isAsking {
            switch try ask(records.count, stop) {
            case true?: break
            case false?:
                Console.error("plugin-starter: nothing was sent")
                return 1
            case nil: return stopped(sent: 0, of: records.count)
            }
        }
        let sender = try RedriveSender(settings, report, stop)
        // Another run may have sent some of them in the meantime.
        try reading.readNewRequests()
        guard !stop.wasRaised else { return stopped(sent: 0, of: records.count) }
        let unsent = records.filter { reading.copy(of: $0.candidate.request) == nil }
        guard try sender.send(unsent) else { return stopped(sent: sender.sent, of: unsent.count) }
        Console.error("plugin-starter: sent \(sender.sent) \(sender.sent == 1 ? "request" : "requests")")
        return code
    }

    private static func rules(_ settings: Settings) throws(CommandFailure) -> RedriveSelection.Rules {
        let given = settings.all(SettingTable.status)
        for status in given where !statuses.contains(where: { $0.rawValue == status }) {
            throw CommandFailure(
                64,
                "status: \"\(status)\" cannot be sent again; it must be one of: "
                    + statuses.map(\.rawValue).joined(separator: ", "))
        }
        let requests = settings.value(SettingTable.requestsTopic)
        if settings[SettingTable.deadLetterTopic] == requests {
            throw CommandFailure(64, "dead-letter-topic: \"\(requests)\" is also the --requests-topic")
        }
        // A dead-letter topic holds only what its worker was set to write there.
        let all = settings[SettingTable.deadLetterTopic] == nil ? [.failed] : statuses + [.conflict]
        return RedriveSelection.Rules(
            requestsTopic: requests, filter: settings.resultFilter(),
            statuses: Set(given.isEmpty ? all : given.compactMap(Status.init)),
            priority: settings[SettingTable.priority].flatMap(Priority.init) ?? .bulk,
            maximumGeneration: settings.value(SettingTable.maxGeneration))
    }

    /// Whether the user agrees; nil after a signal.
    private static func ask(_ count: Int, _ stop: StopSignal) throws(CommandFailure) -> Bool? {
        Console.error("Send \(count) \(count == 1 ? "request" : "requests") again? [y/N] ", terminator: "")
        while true {
            if stop.isRaised() {
                Console.error("")
                return nil
            }
            var watched = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&watched, 1, 100) > 0 else { continue }
            let answer = readLine()?.lowercased() ?? ""
            return ["y", "yes"].contains(answer)
        }
    }

    private static func stopped(sent: Int, of count: Int) -> Int32 {
        Console.error("plugin-starter: stopped: sent \(sent) of \(count) requests; the same command goes on")
        return 75
    }
}

/// Whether SIGINT or SIGTERM has come.
nonisolated final class StopSignal {
    private let signals = Signals()
    private(set) var wasRaised = false

    func isRaised() -> Bool {
        if signals.next() != nil { wasRaised = true }
        return wasRaised
    }
}
