internal import Core
internal import Kafka
internal import Reporting
internal import Settings
internal import Worker

/// `results`: prints results as a table, as JSON or as OCSF events, or counts them.
nonisolated enum ResultsCommand {
    private enum Format: String { case table, json, ocsf }

    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let format = try format(settings)
        let follow = settings.value(SettingTable.follow)
        let filter = settings.resultFilter()
        let until = try until(settings)
        let limit = settings[SettingTable.limit] ?? .max
        let topic = settings.value(SettingTable.resultsTopic)
        let table = ResultTable(width: Console.width, isColoured: Console.hasColours)
        let signals = Signals()
        let stream = try ResultStream(
            settings, try settings.kafka(), start: .beginning, since: settings[SettingTable.since])
        var summary = settings.value(SettingTable.summary) ? ResultSummary() : nil
        var (read, shown) = (0, 0)
        var wasStopped = false
        func isOver() -> Bool {
            if signals.next() != nil { wasStopped = true }
            return wasStopped || shown >= limit
        }
        try stream.read(toEnd: !follow, until: isOver) { record, result in
            if let until, let time = record.timestamp, time > until { return }
            read += 1
            guard shown < limit, filter.matches(result) else { return }
            shown += 1
            guard summary == nil else {
                summary?.add(result)
                return
            }
            switch format {
            case .json: Console.print(result.text)
            case .ocsf: Console.print(OCSFEvent.event(result, resultsTopic: topic).text)
            case .table:
                if shown == 1 { Console.print(table.header) }
                Console.print(table.row(result))
            }
        }
        if let summary, shown > 0 {
            Console.print(
                format == .json ? summary.json.text : summary.text(width: Console.width ?? 80),
                terminator: format == .json ? "\n" : "")
        }
        if wasStopped && !follow { Console.error("plugin-starter: stopped before the end") }
        if shown == 0 && !wasStopped {
            Console.error(
                "plugin-starter: " + (read == 0 ? "\(topic) has no results" : "none of \(read) results matches"))
        }
        return wasStopped && !follow ? 75 : 0
    }

    private static func format(_ settings: Settings) throws(CommandFailure) -> Format {
        let isJSON = settings.value(SettingTable.json)
        let format = settings[SettingTable.format].flatMap(Format.init)
        if isJSON, let format, format != .json {
            throw CommandFailure(64, "format: \"\(format.rawValue)\" cannot be combined with --json")
        }
        if format == .ocsf && settings.value(SettingTable.summary) {
            throw CommandFailure(64, "format: \"ocsf\" cannot be combined with --summary")
        }
        return format ?? (isJSON ? .json : .table)
    }

    /// The time of the last record to show.
    private static func until(_ settings: Settings) throws(CommandFailure) -> Timestamp? {
        if settings[SettingTable.until] != nil, settings.value(SettingTable.follow) {
            throw CommandFailure(64, "until: cannot be combined with --follow, which shows new results")
        }
        return try settings.untilTime()
    }
}

extension Settings {
    /// The time of the last record to take.
    nonisolated func untilTime() throws(CommandFailure) -> Timestamp? {
        guard let until = self[SettingTable.until] else { return nil }
        if let since = self[SettingTable.since], since <= until {
            throw CommandFailure(
                64,
                "until: \"\(until.unitText)\" must be shorter than --since \(since.unitText), both counted back from now"
            )
        }
        return Clock.wall + (.zero - until)
    }

    /// The filters that choose results.
    nonisolated func resultFilter() -> ResultFilter {
        var filter = ResultFilter()
        filter.key = self[SettingTable.key]
        filter.statuses = all(SettingTable.status)
        filter.codes = all(SettingTable.code)
        filter.categories = all(SettingTable.category)
        filter.projectID = self[SettingTable.projectID]
        filter.pluginCode = self[SettingTable.pluginCode]
        filter.hosts = all(SettingTable.host).flatMap { $0.split(separator: ",").map(String.init) }
        return filter
    }
}
