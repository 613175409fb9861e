package import Core

/// Counts of what the audit read and found.
package struct Findings: Equatable, Sendable {
    package var requests = 0
    package var results = 0
    package var statuses: [Status: Int] = [:]
    package var violations: [Rule: Int] = [:]
    /// Requests without a result that are too young to need one.
    package var open = 0
    /// Results of requests that are before the range, or that retention has deleted.
    package var beforeTheRange = 0
    /// Results of another requests topic, or of records whose offset another record has now.
    package var ofOtherRecords = 0
    /// Duplicates and conflicts whose original is before the part that was read.
    package var unprovenOriginals = 0
    /// Requests that retention deleted before they were read. Nothing is known about them.
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

    /// Whether the history keeps every rule. With `allowingRepeats`, a result may be published twice.
    package func isProven(allowingRepeats: Bool) -> Bool {
        violations.allSatisfy { $0.value == 0 || $0.key == .repeated && allowingRepeats }
    }

    /// Each count with its name, in display order. Violations with a count of zero are included.
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

    /// One JSON object with `requests`, `results`, the records that are neither, and `statuses` and `violations` by
    /// name.
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
