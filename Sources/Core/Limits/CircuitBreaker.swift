/// Stops calls while the service does not answer. When calls fail in a row, whatever requests they carried, further
/// calls would only fail too and occupy slots of the quota. So the breaker opens. It lets one probe at a time through,
/// after growing pauses, until a probe is answered.
struct CircuitBreaker: Equatable {
    enum State { case closed, open, halfOpen }

    /// Failures in a row, over all batches.
    private var failures = 0
    /// The same counted in rounds. Calls that were in flight when one call failed belong to the same round.
    private(set) var rounds = 0
    private var failedAt: Uptime?
    /// When the first of the failures in a row came.
    private(set) var since: Uptime?
    private var probe: CallID?
    private var notBefore: Uptime = .zero

    /// This many failures open the breaker. Fewer may be a brief fault of one batch.
    static let threshold = 3

    /// Half open while a probe is in flight.
    var state: State { failures < Self.threshold ? .closed : probe == nil ? .open : .halfOpen }

    func allows(now: Uptime) -> Bool { state == .closed || (state == .open && now >= notBefore) }

    /// When the next probe may go; nil where calls are not held back, or while a probe is in flight.
    var deadline: Uptime? { state == .open ? notBefore : nil }

    mutating func sent(_ call: CallID) { if state != .closed { probe = call } }

    /// Records a failure and returns the number of rounds of failures in a row, with this one.
    mutating func failed(_ call: CallID, sentAt: Uptime, now: Uptime) -> Int {
        failures += 1
        since = since ?? now
        if probe == call { probe = nil }
        if failedAt.map({ sentAt >= $0 }) ?? true {
            rounds += 1
            failedAt = now
        }
        return rounds
    }

    mutating func pause(until: Uptime) { notBefore = until }

    /// The service gave an answer that is no failure of the service.
    mutating func answered() { self = CircuitBreaker() }
}
