/// Whether the service answers at all. When calls fail in a row, whichever requests they carried, further ones would only
/// fail too and take slots of the quota: one probe at a time goes out, after growing pauses, until one is answered.
struct Outage: Equatable {
    /// Failures in a row, over all batches.
    private(set) var failures = 0
    private var probe: CallID?
    private var notBefore: Duration = .zero

    /// So many make an outage; fewer are a hiccup of one batch.
    static let threshold = 3

    private var isOn: Bool { failures >= Self.threshold }

    func allows(now: Duration) -> Bool { !isOn || (probe == nil && now >= notBefore) }

    /// When the next probe may go; nil where nothing is held back, or while a probe is under way.
    var deadline: Duration? { isOn && probe == nil ? notBefore : nil }
    var isProbing: Bool { probe != nil }

    mutating func sent(_ call: CallID) { if isOn { probe = call } }

    mutating func failed(_ call: CallID, until: Duration) {
        failures += 1
        if probe == call { probe = nil }
        notBefore = max(notBefore, until)
    }

    /// The service answered, with whatever.
    mutating func answered() { self = Outage() }
}
