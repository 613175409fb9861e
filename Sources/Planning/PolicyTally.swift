package import Core

/// How many of a plan's requests each rule of the policy allowed, refused or held.
package struct PolicyTally {
    package enum Verdict: String { case allowed, refused, waits }

    package struct Row: Equatable {
        package var rule: String
        package var verdict: Verdict
        package var requests: Int
    }

    /// By the number of requests, then by name.
    package private(set) var rows: [Row] = []

    package init(_ decisions: some Sequence<PolicyDecision>) {
        for decision in decisions {
            count(decision.rule, decision.refusal == nil ? .allowed : .refused)
            if let maintenance = decision.maintenance { count(maintenance.rule, .waits) }
        }
        rows.sort { ($1.requests, $0.rule) < ($0.requests, $1.rule) }
    }

    private mutating func count(_ rule: String, _ verdict: Verdict) {
        if let place = rows.firstIndex(where: { $0.rule == rule && $0.verdict == verdict }) {
            rows[place].requests += 1
        } else {
            rows.append(Row(rule: rule, verdict: verdict, requests: 1))
        }
    }
}
