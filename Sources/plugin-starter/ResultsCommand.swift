internal import Core
internal import Kafka
internal import Settings
internal import Worker

/// `results`: prints a table, or one JSON object per line.
nonisolated enum ResultsCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let follow = settings.value(SettingTable.follow)
        let json = settings.value(SettingTable.json)
        let statuses = settings.all(SettingTable.status)
        let limit = settings[SettingTable.limit] ?? .max
        let signals = Signals()
        let stream = try ResultStream(
            settings, try settings.kafka(), start: .beginning, since: settings[SettingTable.since])
        var shown = 0
        try stream.read(toEnd: !follow, until: { shown >= limit || signals.next() != nil }) { _, result in
            guard shown < limit else { return }
            if let key = settings[SettingTable.key], result["idempotency_key"]?.string != key { return }
            if !statuses.isEmpty && !statuses.contains(result["status"]?.string ?? "") { return }
            if shown == 0 && !json { Console.print(header) }
            shown += 1
            Console.print(json ? String(decoding: result.bytes, as: UTF8.self) : row(result))
        }
        return 0
    }

    private static let header = line(["COMPLETED", "STATUS", "KEY", "PROJECT", "PLUGIN", "HOSTS", "TRIES", "ERROR"])

    private static func row(_ result: JSON) -> String {
        let hosts = result["operate_all"]?.bool == true ? "all" : "\(result["host_id_list"]?.array?.count ?? 0)"
        let error = result["error"]
        let why = [error?["code"]?.string, error?["detail"]?.string ?? error?["title"]?.string].compactMap { $0 }
        return line([
            result["completed_at"]?.string ?? "", result["status"]?.string ?? "",
            result["idempotency_key"]?.string ?? "-",
            result["project_id"]?.string ?? "-", result["plugin_code"]?.string ?? "-", hosts,
            "\(result["attempts"]?.integer ?? 0)", why.joined(separator: " "),
        ])
    }

    private static func line(_ cells: [String]) -> String {
        let widths = [24, 19, 32, 32, 8, 5, 5, 0]
        let padded = zip(cells, widths).map { cell, width in
            let clean = cell.printable
            return clean + String(repeating: " ", count: max(0, width - clean.count))
        }
        return padded.joined(separator: " ")
    }
}
