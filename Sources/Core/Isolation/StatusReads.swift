/// Reads of hosts' states (ListPluginStatus) after calls that were refused or whose answer was lost.
struct StatusReads {
    struct Read {
        enum Purpose: Equatable {
            /// Which of these hosts keep calls from being accepted?
            case refused(Failure)
            /// Which of these hosts were started by the call whose answer was lost? The others are called
            /// again, not before the given time.
            case lost(Failure, notBefore: Uptime, failures: Int)
        }

        var batch: Batch
        var purpose: Purpose
        /// Requests that are next in line and are included in the read. They are out of the
        /// line while the read is in flight.
        var ahead: Batch?
        /// Hosts that no read has asked for yet, and the states reported so far.
        var toAsk: ArraySlice<String> = []
        var states: [ExactText: HostStatus] = [:]
        /// Not sent before this time.
        var notBefore: Uptime = .zero
        /// When the read was requested.
        var since: Uptime = .zero
        /// How many times the read failed in a way that a retry can fix.
        var failures = 0

        var maximumFailures: Int {
            if case .refused = purpose { StatusReads.maximumFailures } else { StatusReads.maximumFailuresOfLost }
        }

        var subject: AuthGate.Subject { batch.scope.subject(isRead: true) }

        /// Whether reads of this project are refused, so that the batch does not wait for the read. After a
        /// refused call, one refusal is enough while its pause lasts. After a lost call, it takes
        /// `maximumRefusals` refusals in a row.
        func isHopeless(gate: AuthGate, _ now: Uptime) -> Bool {
            guard let until = gate.pausedUntil(subject) else { return false }
            if case .refused = purpose { return until > now }
            return gate.failures(subject) >= StatusReads.maximumRefusals
        }
    }

    private var waiting: [Read] = []
    private var inFlight: [CallID: Read] = [:]
    /// When the reads after refusals were requested, by scope.
    private var held: [Scope: [Uptime]] = [:]

    /// Hosts in one read. The limit keeps the URL well below what gateways accept.
    static let hostsPerRead = 100
    /// After this many failed reads, the hosts are called without a read. A status outage must not block calls.
    static let maximumFailures = 3
    /// The same after a lost answer, where a call without a read may repeat a call. The limit is higher because the
    /// fault that lost the answer often loses the following reads too.
    static let maximumFailuresOfLost = 6
    /// The same for refusals of the credential.
    static let maximumRefusals = 2

    /// A refused scope waits this long for the read, because the read shows which of the scope's
    /// next calls would be refused too.
    private static let longestHold: Duration = .seconds(2)

    /// Until when no further call of the scope may go, in any lane except halves; nil where no
    /// read after a refusal is under way.
    func hold(_ scope: Scope) -> Uptime? {
        guard !held.isEmpty else { return nil }
        if case .half = scope.lane { return nil }
        return held[scope.shared]?.max().map { $0 + Self.longestHold }
    }

    var count: Int { inFlight.count }
    var isEmpty: Bool { waiting.isEmpty }

    mutating func wait(_ read: Read) {
        waiting.append(read)
        hold(for: read)
    }

    mutating func sent(_ call: CallID, _ read: Read) {
        inFlight[call] = read
        hold(for: read)
    }

    mutating func answered(_ call: CallID) -> Read? {
        guard let read = inFlight.removeValue(forKey: call) else { return nil }
        release(read)
        return read
    }

    mutating func next(where isReady: (Read) -> Bool) -> Read? {
        guard let read = waiting.firstIndex(where: isReady).map({ waiting.remove(at: $0) }) else { return nil }
        release(read)
        return read
    }

    /// When the first waiting read may go; nil where none may. `allowed` gives the time from which everything else
    /// allows a read; nil blocks the read.
    func earliest(_ allowed: (Read) -> Uptime?) -> Uptime? {
        var first: Uptime?
        for read in waiting {
            guard let time = allowed(read).map({ max($0, read.notBefore) }) else { continue }
            first = min(first ?? time, time)
        }
        return first
    }

    private mutating func hold(for read: Read) {
        if case .refused = read.purpose { held[read.batch.scope.shared, default: []].append(read.since) }
    }

    private mutating func release(_ read: Read) {
        guard case .refused = read.purpose else { return }
        let scope = read.batch.scope.shared
        if let place = held[scope]?.firstIndex(of: read.since) { held[scope]?.remove(at: place) }
        if held[scope]?.isEmpty ?? false { held[scope] = nil }
    }
}
