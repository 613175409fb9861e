/// Requests from admission to the acknowledged result: `(fact, now) -> [Effect]`, a value without I/O, clock or chance of
/// its own.
///
/// A request is *waiting* (in the coalescer, or behind an earlier one with its key), *called*, or *publishing*; it ends
/// when its result is acknowledged, and only then is its offset done and its key remembered.
package struct Pipeline {
    package struct Configuration: Equatable, Sendable {
        package var quota: RateLimit?
        /// Part of each record's identity.
        package var requestsTopic = ""
        /// Whether other workers may call with the same quota, so that calls need a lease (`Event.leased`).
        package var needsLease = false
        /// From sending a call to the server's having it, at the longest.
        package var transit: Duration = .seconds(5)
        package var hostsPerCall = 100
        /// Calls in flight at most.
        package var concurrency = 16
        package var retryFor: Duration = .seconds(900)
        package var dedupeWindow: Duration = .seconds(86_400)
        /// How long a faulty host is called apart from others.
        package var quarantine: Duration = .seconds(600)
        /// Open requests, and bytes of their records, at which no more are taken.
        package var maximumOpen = 10_000
        package var maximumOpenBytes = 64 << 20
        package var maximumRequestBytes = 256 << 10
        /// Whether requests with one Kafka key are called in order.
        package var keepsKeyOrder = false
        package var policy = Policy()
        /// Starts every call id, so that ids of different processes differ.
        package var callPrefix = "call"
        package var seed: UInt64 = 0

        package var mutations = Mutations()

        package init(quota: RateLimit?) { self.quota = quota }
    }

    package let configuration: Configuration
    /// Whether nothing is started any more.
    var isDraining: Bool { lifecycle != .running }
    let decoder: RequestDecoder
    let retry: RetryPolicy
    var generator: SplitMix64
    var partitions: [Int32: Partition] = [:]
    /// Those of them that are being given up.
    var revoked: Set<Int32> = []
    var open = OpenRequests()
    var calls: [CallID: Batch] = [:]
    var coalescer: Coalescer
    var permits: Permits
    var reads = StatusReads()
    var isolation = Isolation()
    var intake = Intake()
    var expiries = ExpiryQueue()
    var outbox = Outbox()
    var order = KeyOrder()
    var nextCall: CallID = 0
    var lifecycle = Lifecycle.running
    var lastLedgerExpiry: Duration = .zero
    /// Filled while one fact is handled.
    var effects: [Effect] = []

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        decoder = RequestDecoder(maximumBytes: configuration.maximumRequestBytes, policy: configuration.policy)
        retry = RetryPolicy(budget: configuration.retryFor)
        generator = SplitMix64(seed: configuration.seed)
        coalescer = Coalescer(hostsPerCall: configuration.hostsPerCall)
        permits = Permits(configuration)
    }

    /// The one way in.
    package mutating func handle(_ fact: Event, now: Now) -> [Effect] {
        effects.removeAll(keepingCapacity: true)
        switch fact {
        case .assigned(let partition, let ledger): assigned(partition, ledger, now)
        case .tookOver(let previous): tookOver(from: previous, now)
        case .leased(let until): permits.lease(until: until)
        case .received(let record): admit(record, now)
        case .reachedEnd(let position): reachedEnd(position)
        case .answered(let call, let reply): answered(call, reply, now)
        case .published(let request): published(request, now)
        case .publishFailed(let request, let reason, let isTooLarge): publishFailed(request, reason, isTooLarge, now)
        case .revoked(let revoked, let isLost, let deadline): self.revoked(revoked, isLost: isLost, deadline: deadline)
        case .credentialChanged: permits.credentialChanged(now.uptime)
        case .drain: drain()
        case .tick: tick(now)
        }
        // What was fetched together can share a call: whoever hands records over ticks when there are no more for now.
        if case .received = fact {} else { dispatch(now) }
        balanceIntake(now.uptime)
        releaseWhatIsDone(now)
        return effects
    }

    // MARK: What the shell asks

    package var openCount: Int { open.count }
    /// Since when HSS has answered no call, as uptime; nil where it answers.
    package var unansweredSince: Duration? { permits.breaker.state == .closed ? nil : permits.breaker.since }
    package var openBytes: Int { open.bytes }
    package var waitingCount: Int { coalescer.waitingCount }
    package var inFlight: Int { calls.count }
    /// Whether no other worker of the group can be calling.
    package func isLeased(_ now: Duration) -> Bool { permits.isLeased(now) }
    /// Until when no call goes, by uptime: because the server said so, or because of what a previous caller may have called.
    package var heldUntil: Duration { permits.calls.heldUntil }
    package var gateState: AuthGate.State { permits.gate.state }
    /// Projects that are refused while the credential is accepted for others.
    package var refusedProjects: [String] { permits.gate.refusedAlone }
    /// Whether there is room for another record.
    package var wantsRecords: Bool { !intake.isFull && !isDraining }
    /// Whether too much has been open for so long that the partitions are paused.
    package var isPaused: Bool { intake.isPaused }
    /// Whether a result was refused by the results topic and waits to go out again.
    package var hasUnpublished: Bool { outbox.hasRefused }
    /// How long the oldest result has waited for its topic to take it.
    package func unwrittenFor(_ now: Duration) -> Duration { outbox.waited(now) }
    /// Whether it has waited for so long that nothing more is taken: the broker is away, say, which the library tries again
    /// and again without a word.
    package func areResultsStuck(_ now: Duration) -> Bool { outbox.isStuck(now) }
    package var assignedPartitions: [Int32] { partitions.keys.sorted() }
    /// Partitions whose log went back, until they are taken over anew.
    package var stalePartitions: [Int32] { partitions.filter(\.value.isStale).keys.sorted() }
    package func committable(_ partition: Int32) -> Int64? { partitions[partition]?.tracker.committable }
    /// The records that a call in flight is made for.
    package func positions(of call: CallID) -> [Position] {
        (calls[call]?.parts ?? []).compactMap { open[$0.request]?.position }
    }
    package func callName(_ call: CallID) -> String { "\(configuration.callPrefix)-\(call)" }

    /// When `tick` is wanted at the latest, as uptime; nil where only a fact can change anything.
    package func deadline(_ now: Now) -> Duration? {
        var earliest: Duration?
        func consider(_ time: Duration?) {
            if let time { earliest = min(earliest ?? time, time) }
        }
        consider(outbox.nextRetry)
        consider(intake.deadline)
        if !intake.isFull { consider(outbox.stuckAt.map { max(now.uptime, $0) }) }
        for number in revoked { consider(partitions[number]?.revokedBy) }
        // A drain starts nothing.
        if isDraining { return earliest }
        // Not before gate and quota both allow it; what waits for an answer is woken by it.
        if !reads.isEmpty, let free = permits.nextRead(now),
            let allowed = reads.earliest({ permits.earliest($0.subject, now.uptime) })
        {
            consider(max(free, allowed))
        }
        consider(nextCallTime(now))
        consider(expiries.first)
        return earliest
    }

    /// When the next call may go, as uptime; nil where none waits, or where that waits for an answer or for partitions.
    func nextCallTime(_ now: Now) -> Duration? {
        guard coalescer.waitingCount > 0, !isDraining, let free = permits.nextCall(now),
            let allowed = coalescer.nextEligible(now: now.uptime, earliest: { earliest($0, now.uptime) })
        else { return nil }
        return max(free, allowed)
    }
}

/// Where the pipeline stands on its way to its end.
enum Lifecycle {
    case running
    /// Nothing is started any more; what is in flight ends. Becomes `drained`.
    case draining
    /// Nothing is open, and the shell knows.
    case drained
}

/// One assigned partition.
struct Partition {
    var tracker: OffsetTracker
    var ledger: Ledger
    var isPaused = false
    /// Set while it is being given up: when it goes at the latest.
    var revokedBy: Duration?
    /// Set when its log went back: nothing more is taken or stored, until it is taken over anew.
    var isStale = false

    init(ledger: Ledger) {
        tracker = OffsetTracker(from: ledger.start)
        self.ledger = ledger
    }
}
