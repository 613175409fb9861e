/// What is known of the keys of one partition, and of the records answered before this process had it.
package struct Ledger: Sendable {
    /// How a key's first request ended, as far as a `duplicate` must say it.
    package struct Outcome: Equatable, Sendable {
        package var status: Status
        package var offset: Int64
        package var fingerprint: Fingerprint
        package var completedAt: Timestamp
        package var failure: Failure?

        /// Responders send a key again after a failure that could pass in order to make progress.
        var freesKey: Bool { status == .failed && (failure?.isRetryable ?? false) }
    }

    private var outcomes: [Fingerprint: Outcome] = [:]
    private var answered: Set<Int64> = []
    private var order = Queue<(completedAt: Timestamp, key: Fingerprint)>()

    package init() {}

    package var count: Int { outcomes.count }

    /// Whether the record at this offset has its result already.
    func isAnswered(_ offset: Int64) -> Bool { answered.contains(offset) }

    /// The outcome that answers this key; nil where the key is free.
    func outcome(for key: Fingerprint, now: Timestamp, window: Duration) -> Outcome? {
        guard let outcome = outcomes[key], !outcome.freesKey, now - outcome.completedAt <= window else { return nil }
        return outcome
    }

    /// Remembers how a key ended, once its result is acknowledged.
    mutating func remember(_ outcome: Outcome, for key: Fingerprint) {
        outcomes[key] = outcome
        order.append((outcome.completedAt, key))
    }

    /// Forgets what is older than the window; each entry is looked at once.
    mutating func expire(before time: Timestamp) {
        while let oldest = order.first, oldest.completedAt < time {
            order.popFirst()
            if let outcome = outcomes[oldest.key], outcome.completedAt <= oldest.completedAt {
                outcomes[oldest.key] = nil
            }
        }
    }
}
