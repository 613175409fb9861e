package import Core

/// What was read and found, as numbers.
package struct Findings: Equatable, Sendable {
    package var requests = 0
    package var results = 0
    package var statuses: [Status: Int] = [:]
    package var violations: [Rule: Int] = [:]
    /// Requests without a result that are too young to want one.
    package var open = 0
    /// Results of requests that lie before the range, or that retention has deleted.
    package var beforeTheRange = 0
    /// Results of another requests topic, or of records whose offset another record has now.
    package var ofOtherRecords = 0
    /// Duplicates and conflicts whose original lies before what was read.
    package var unprovenOriginals = 0
    /// Requests that retention deleted before they were read: nothing can be said of them.
    package var deletedUnread: Int64 = 0

    package init() {}

    package static func += (sum: inout Findings, more: Findings) {
        sum.requests += more.requests
        sum.results += more.results
        sum.statuses.merge(more.statuses, uniquingKeysWith: +)
        sum.violations.merge(more.violations, uniquingKeysWith: +)
        sum.open += more.open
        sum.beforeTheRange += more.beforeTheRange
        sum.ofOtherRecords += more.ofOtherRecords
        sum.unprovenOriginals += more.unprovenOriginals
        sum.deletedUnread += more.deletedUnread
    }

    /// Whether the history keeps every rule; with `allowingRepeats` a result that was published twice is none's business.
    package func isProven(allowingRepeats: Bool) -> Bool {
        violations.allSatisfy { $0.value == 0 || $0.key == .repeated && allowingRepeats }
    }

    /// Each number under its name, in the order to show them; violations that there are none of too.
    package var rows: [(name: String, count: Int)] {
        var rows = [("requests", requests), ("results", results)]
        rows += Status.allCases.map { ($0.rawValue, statuses[$0] ?? 0) }
        rows += others
        return rows + Rule.allCases.map { ($0.rawValue, violations[$0] ?? 0) }
    }

    private var others: [(name: String, count: Int)] {
        [
            ("open", open), ("before-the-range", beforeTheRange),
            ("of-other-records", ofOtherRecords), ("unproven-originals", unprovenOriginals),
            ("deleted-unread", Int(clamping: deletedUnread)),
        ]
    }

    /// One JSON object: `requests`, `results`, what is neither, `statuses` and `violations` by name.
    package func json(proven: Bool) -> JSON {
        func members(_ rows: [(name: String, count: Int)]) -> [JSON.Member] {
            rows.map { .init($0.name.replacing("-", with: "_"), .integer(Int64($0.count))) }
        }
        var all: [JSON.Member] = [.init("proven", .bool(proven))]
        all += members([("requests", requests), ("results", results)] + others)
        all.append(
            .init("statuses", .object(members(Status.allCases.map { ($0.rawValue, statuses[$0] ?? 0) }))))
        all.append(
            .init(
                "violations",
                .object(Rule.allCases.map { .init($0.rawValue, .integer(Int64(violations[$0] ?? 0))) })))
        return .object(all)
    }
}
