package import Core

/// Counts of results: by status, error code and plugin, and over time.
package struct ResultSummary: Sendable {
    private static let maximumRows = 20

    package private(set) var count = 0
    private var statuses = Histogram()
    private var codes = Histogram()
    private var plugins = Histogram()
    private var series = TimeSeries()

    package init() {}

    package mutating func add(_ result: JSON) {
        let status = result["status"]?.string ?? "unknown"
        count += 1
        statuses.add(status)
        if let code = result["error"]?["code"]?.string { codes.add(code) }
        plugins.add(result["plugin_code"]?.string ?? "-")
        let isFine = [Status.succeeded, .duplicate].contains(Status(rawValue: status))
        if let time = result["completed_at"]?.string.flatMap({ Timestamp(rfc3339: $0) }) {
            series.add(time, isUnsuccessful: !isFine)
        }
    }

    /// `width`: the longest line.
    package func text(width: Int) -> String {
        var out = "\(count) results\n"
        for (title, histogram) in [("STATUS", statuses), ("ERROR CODE", codes), ("PLUGIN", plugins)] {
            let rows = histogram.sorted
            guard !rows.isEmpty else { continue }
            out += "\n\(title.padded(to: 24)) \(Self.right("RESULTS", 9))\n"
            for (name, count) in rows.prefix(Self.maximumRows) {
                out += "\(name.printable.cut(to: 24).padded(to: 24)) \(Self.right("\(count)", 9))\n"
            }
            if rows.count > Self.maximumRows { out += "and \(rows.count - Self.maximumRows) more\n" }
        }
        return out + plot(width: width)
    }

    /// One bar for each step of time: `#` for what succeeded or repeats an earlier request, `x` for the rest.
    private func plot(width: Int) -> String {
        let (length, rows) = series.rows(atMost: Self.maximumRows)
        guard let most = rows.map(\.step.all).max(), most > 0 else { return "" }
        let room = max(10, min(60, width - 20 - 2 - 10))
        var out = "\n\("FROM (UTC)".padded(to: 20)) RESULTS in \(Self.unit(length)); x: not succeeded\n"
        for (time, step) in rows {
            // Any result is visible, however many there are in another step.
            let bar = step.all == 0 ? 0 : max(1, step.all * room / most)
            let bad = step.unsuccessful == 0 ? 0 : min(bar, max(1, step.unsuccessful * bar / step.all))
            let drawn = String(repeating: "#", count: bar - bad) + String(repeating: "x", count: bad)
            let start = String(time.description.prefix(19)).replacing("T", with: " ")
            out += "\(start.padded(to: 20)) \(drawn)\(bar > 0 ? " " : "")\(step.all)\n"
        }
        return out
    }

    package var json: JSON {
        func object(_ histogram: Histogram) -> JSON {
            .object(histogram.sorted.map { .init($0.name, .integer(Int64($0.count))) })
        }
        let (length, rows) = series.rows(atMost: 1000)
        return .object([
            .init("results", .integer(Int64(count))), .init("status", object(statuses)), .init("code", object(codes)),
            .init("plugin_code", object(plugins)), .init("step_seconds", .integer(Int64(length))),
            .init(
                "over_time",
                .array(
                    rows.filter { $0.step.all > 0 }.map {
                        .object([
                            .init("from", .string($0.time.description)), .init("results", .integer(Int64($0.step.all))),
                            .init("not_succeeded", .integer(Int64($0.step.unsuccessful))),
                        ])
                    })),
        ])
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// `5 min` and the like.
    private static func unit(_ seconds: Int) -> String {
        for (name, size) in [("d", 86_400), ("h", 3600), ("min", 60)] where seconds % size == 0 {
            return "\(seconds / size) \(name)"
        }
        return "\(seconds) s"
    }
}
