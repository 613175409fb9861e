/// Whether the service answers at all. When calls fail in a row, whichever requests they carried, further ones would only
/// fail too and take slots of the quota: one probe at a time goes out, after growing pauses, until one is answered.
struct Outage: Equatable {
    /// Failures in a row, over all batches.
    private var failures = 0
    /// The same by rounds: calls that were on their way when one failed have failed with it.
    private(set) var rounds = 0
    private var failedAt: Duration?
    /// When the first failure of those in a row came.
    private(set) var since: Duration?
    private var probe: CallID?
    private var notBefore: Duration = .zero

    /// So many make an outage; fewer are a hiccup of one batch.
    static let threshold = 3

    var isOn: Bool { failures >= Self.threshold }

    func allows(now: Duration) -> Bool { !isOn || (probe == nil && now >= notBefore) }

    /// When the next probe may go; nil where nothing is held back, or while a probe is under way.
    var deadline: Duration? { isOn && probe == nil ? notBefore : nil }
    var isProbing: Bool { probe != nil }

    mutating func sent(_ call: CallID) { if isOn { probe = call } }

    /// Takes a failure, and says which round of failures in a row it belongs to.
    mutating func failed(_ call: CallID, sentAt: Duration, now: Duration) -> Int {
        failures += 1
        since = since ?? now
        if probe == call { probe = nil }
        if failedAt.map({ sentAt >= $0 }) ?? true {
            rounds += 1
            failedAt = now
        }
        return rounds
    }

    mutating func pause(until: Duration) { notBefore = until }

    /// The service answered, with whatever.
    mutating func answered() { self = Outage() }
}
