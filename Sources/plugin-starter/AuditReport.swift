internal import Audit
internal import Core
internal import Reporting
internal import Settings

/// What an audit prints: violations as it finds them, then the counts.
nonisolated struct AuditReport {
    private let isJSON: Bool
    private let allowsRepeats: Bool
    private let limit: Int
    private var shown = 0
    private var hidden = 0

    init(_ settings: Settings) {
        isJSON = settings.value(SettingTable.json)
        allowsRepeats = settings.value(SettingTable.allowRepeats)
        limit = settings[SettingTable.limit] ?? (isJSON ? .max : 100)
    }

    mutating func show(_ violations: [Violation]) {
        for violation in violations where !(violation.rule == .repeated && allowsRepeats) {
            if shown >= limit {
                hidden += 1
                continue
            }
            shown += 1
            Console.print(isJSON ? violation.json.text : violation.text.printable)
        }
    }

    func end(_ findings: Findings, isProven: Bool, isWhole: Bool) {
        if !isWhole { Console.error("plugin-starter: stopped before the end; an audit with --state resumes there") }
        if isJSON {
            Console.print(findings.json(proven: isProven && isWhole).text)
            return
        }
        if hidden > 0 { Console.print("and \(hidden) more") }
        if shown > 0 { Console.print("") }
        for row in findings.rows {
            let count = "\(row.count)"
            Console.print(
                row.name + String(repeating: " ", count: max(1, 38 - row.name.count - count.count)) + count)
        }
        guard isWhole || !isProven else { return }
        Console.print(
            isProven
                ? "\nproven: each request has one right result; \(findings.open) are too recent to need one"
                : "\nrefuted: \(shown + hidden) violations")
    }
}
