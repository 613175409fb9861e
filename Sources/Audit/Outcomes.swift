internal import Core

/// The first outcomes of a partition's keys, by the request's offset, and the latest outcome of each key. They are kept
/// for the dedupe window and a little longer.
struct Outcomes: Sendable {
    struct Outcome: Equatable, Sendable {
        var key: ScopedKey
        /// Nil if the request is before the range and its result does not contain the whole action.
        var action: TextDigest?
        var status: Status
        var isRetryable: Bool
        var completedAt: Timestamp
        /// The result's offset.
        var result: Int64

        /// Whether a request may have an outcome of its own, because it sends the request of this outcome again.
        func isRedriven(by facts: RequestFacts, at offset: Int64) -> Bool {
            facts.redrives == offset && status.canBeRedriven && action.map { $0 == facts.action } ?? true
        }
    }

    private(set) var all: [Int64: Outcome] = [:]
    private var latestOffset: [ScopedKey: Int64] = [:]

    subscript(offset: Int64) -> Outcome? { all[offset] }

    func latest(_ key: ScopedKey) -> (offset: Int64, outcome: Outcome)? {
        guard let offset = latestOffset[key], let outcome = all[offset] else { return nil }
        return (offset, outcome)
    }

    mutating func insert(_ offset: Int64, _ outcome: Outcome) {
        all[offset] = outcome
        if let known = latest(outcome.key), known.outcome.result > outcome.result { return }
        latestOffset[outcome.key] = offset
    }

    mutating func forget(before horizon: Timestamp) {
        all = all.filter { $0.value.completedAt >= horizon }
        latestOffset = latestOffset.filter { all[$0.value] != nil }
    }
}
