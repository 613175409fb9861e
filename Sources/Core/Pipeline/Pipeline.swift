/// Takes requests from admission to the acknowledged result: `(event, now) -> [Effect]`. It is a value without I/O, and
/// has no clock or randomness of its own.
///
/// A request is *waiting* (in the coalescer, or behind an earlier request with its key), *called*, or *publishing*. It
/// ends when its result is acknowledged. Only then is its offset done and its key remembered.
package struct Pipeline: Sendable {
    package struct Configuration: Equatable, Sendable {
        package var quota: RateLimit?
        /// Part of each record's identity.
        package var requestsTopic = ""
        /// Whether other workers may call on the same quota, so that calls need a lease (`Event.leased`).
        package var needsLease = false
        /// The longest time until the server has received a call that was sent.
        package var transit: Duration = .seconds(5)
        package var hostsPerCall = 100
        /// How long a call may wait for company while a slot of the quota is free: 0 is not at all, 1 the tuned rule.
        package var pacing = 0.0
        /// The maximum number of calls in flight.
        package var concurrency = 16
        package var retryFor: Duration = .seconds(900)
        package var dedupeWindow: Duration = .seconds(86_400)
        /// How long a faulty host is called separately from others.
        package var quarantine: Duration = .seconds(600)
        /// No more requests are taken at this many open requests, or at this many bytes of their records.
        package var maximumOpen = 10_000
        package var maximumOpenBytes = 64 << 20
        package var maximumRequestBytes = 256 << 10
        /// Whether requests with one Kafka key are called in order.
        package var keepsKeyOrder = false
        /// Results with these statuses also make a dead letter of the request's record.
        package var deadLetters: Set<Status> = []
        package var policy = Policy()
        /// The prefix of every call id, so that ids of different processes differ.
        package var callPrefix = "call"
        package var seed: UInt64 = 0

        package var mutations = Mutations()

        package init(quota: RateLimit?) { self.quota = quota }
    }

    package let configuration: Configuration
    /// Whether nothing new is started.
    var isDraining: Bool { lifecycle != .running }
    var decoder: RequestDecoder
    var limitCounts = LimitCounts()
    let retry: RetryPolicy
    var generator: SplitMix64
    var partitions: [Int32: Partition] = [:]
    /// The assigned partitions that are being given up.
    var revoked: Set<Int32> = []
    var open = OpenRequests()
    var calls: [CallID: Batch] = [:]
    var coalescer: Coalescer
    /// The changes of the gate that the coalescer knows.
    var gateChanges = 0
    var permits: Permits
    var reads = StatusReads()
    var isolation = Isolation()
    var intake = Intake()
    var expiries = ExpiryQueue()
    var outbox = Outbox()
    var order = KeyOrder()
    var nextCall: CallID = 0
    var lifecycle = Lifecycle.running
    var lastLedgerExpiry: Uptime = .zero
    /// Filled while one event is handled.
    var effects: [Effect] = []

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        decoder = RequestDecoder(maximumBytes: configuration.maximumRequestBytes, policy: configuration.policy)
        retry = RetryPolicy(budget: configuration.retryFor)
        generator = SplitMix64(seed: configuration.seed)
        coalescer = Coalescer(
            hostsPerCall: configuration.hostsPerCall, pacing: configuration.quota == nil ? 0 : configuration.pacing)
        permits = Permits(configuration)
    }

    /// The only entry point for events.
    package mutating func handle(_ event: Event, now: Now) -> [Effect] {
        effects.removeAll(keepingCapacity: true)
        switch event {
        case .assigned(let partition, let ledger): assigned(partition, ledger, now)
        case .tookOver(let previous): tookOver(from: previous, now)
        case .leased(let until): permits.lease(until: until)
        case .received(let records): for record in records { admit(record, now) }
        case .reachedEnd(let position): reachedEnd(position)
        case .answered(let call, let reply): answered(call, reply, now)
        case .published(let request): published(request, now)
        case .publishFailed(let request, let reason, let isTooLarge): publishFailed(request, reason, isTooLarge, now)
        case .revoked(let revoked, let isLost, let deadline): self.revoked(revoked, isLost: isLost, deadline: deadline)
        case .credentialChanged: permits.credentialChanged(now.uptime)
        case .policyChanged(let policy): policyChanged(policy)
        case .drain: drain()
        case .tick: tick(now)
        }
        dispatch(now)
        balanceIntake(now.uptime)
        releaseWhatIsDone(now)
        return effects
    }

    // MARK: Queries of the shell

    package var openCount: Int { open.count }
    /// Since when calls of HSS have failed as in an outage; nil while HSS answers.
    package var unansweredSince: Uptime? { permits.breaker.state == .closed ? nil : permits.breaker.since }
    package var openBytes: Int { open.bytes }
    package var waitingCount: Int { coalescer.waitingCount }
    /// How long the oldest waiting request of each class has waited. Looks at every line.
    package func oldestWaiting(_ now: Uptime) -> [Priority: Duration] { coalescer.oldest().mapValues { now - $0 } }
    /// How many calls the quota allows now; nil where there is none.
    package func freeSlots(_ now: Uptime) -> Int? { permits.calls.limit.map { $0.calls - permits.calls.used(at: now) } }
    /// How many keys the ledgers remember.
    package var ledgerCount: Int { partitions.values.reduce(0) { $0 + $1.ledger.count } }
    package var inFlight: Int { calls.count }
    /// Whether no other worker of the group can be calling.
    package func isLeased(_ now: Uptime) -> Bool { permits.isLeased(now) }
    /// Until when no call may go, because of the server's refusal or of calls that a previous caller may have made.
    package var heldUntil: Uptime { permits.calls.heldUntil }
    package var gateState: AuthGate.State { permits.gate.state }
    /// Projects that are refused while the credential is accepted for others.
    package var refusedProjects: [String] { permits.gate.refusedAlone }
    /// The policy in force.
    package var policy: Policy { decoder.policy }
    /// Whether there is room for another record beside `count` records of `bytes` that are about to be handed over.
    package func wantsRecords(beside count: Int = 0, bytes: Int = 0) -> Bool {
        !intake.isFull && !isDraining && open.count + count < configuration.maximumOpen
            && open.bytes + bytes < configuration.maximumOpenBytes
    }
    /// Whether the partitions are paused because too much has been open for too long.
    package var isPaused: Bool { intake.isPaused }
    /// Whether a result that the results topic refused waits to be sent again.
    package var hasUnpublished: Bool { outbox.hasRefused }
    /// How long the oldest result has waited for its acknowledgement.
    package func unwrittenFor(_ now: Uptime) -> Duration { outbox.waited(now) }
    /// Whether the oldest result has waited so long that no more records are taken. For example, the broker may be
    /// unreachable, while the client library retries silently.
    package func areResultsStuck(_ now: Uptime) -> Bool { outbox.isStuck(now) }
    package var assignedPartitions: [Int32] { partitions.keys.sorted() }
    /// Partitions whose log went back, until they are taken over again.
    package var stalePartitions: [Int32] { partitions.filter(\.value.isStale).keys.sorted() }
    package func committable(_ partition: Int32) -> Int64? { partitions[partition]?.tracker.committable }
    /// The records that a call in flight covers.
    package func positions(of call: CallID) -> [Position] {
        (calls[call]?.parts ?? []).compactMap { open[$0.request]?.position }
    }
    func callName(_ call: CallID) -> String { Self.callName(call, configuration.callPrefix) }
    package static func callName(_ call: CallID, _ prefix: String) -> String { "\(prefix)-\(call)" }

    /// When `tick` is needed at the latest; nil where only an event can change anything.
    package func deadline(_ now: Now) -> Uptime? {
        var earliest: Uptime?
        func consider(_ time: Uptime?) {
            if let time { earliest = min(earliest ?? time, time) }
        }
        consider(outbox.nextRetry)
        consider(intake.deadline)
        if !intake.isFull { consider(outbox.stuckAt.map { max(now.uptime, $0) }) }
        for number in revoked { consider(partitions[number]?.revokedBy) }
        // A drain starts nothing.
        if isDraining { return earliest }
        // Both the gate and the quota must allow a read or call. If one waits for an answer, the answer wakes it.
        if !reads.isEmpty, let free = permits.nextRead(now),
            let allowed = reads.earliest({ permits.gate.earliest($0.subject, now: now.uptime) })
        {
            consider(max(free, allowed))
        }
        consider(nextCallTime(now))
        consider(expiries.first)
        return earliest
    }

    /// When the next call may go; nil where no call waits, or where it waits for an answer or for partitions.
    func nextCallTime(_ now: Now) -> Uptime? {
        guard coalescer.waitingCount > 0, !isDraining, let free = permits.nextCall(now) else { return nil }
        let load = permits.load(at: free)
        let allowed =
            permits.gate.state == .accepted
            ? coalescer.nextTime(load) : coalescer.scanTime(load, opening: openings(now))
        // A call that waits for company waits less once another slot is free.
        return allowed.map { max(free, min($0, load == nil ? $0 : permits.nextFreeing(after: free) ?? $0)) }
    }
}

/// The stages of the pipeline's life.
enum Lifecycle {
    case running
    /// Nothing new is started, and what is in flight finishes. Then the stage becomes `drained`.
    case draining
    /// Nothing is open, and the shell has been notified.
    case drained
}

/// One assigned partition.
struct Partition {
    var tracker: OffsetTracker
    var ledger: Ledger
    var isPaused = false
    /// Set while the partition is being given up. This is the latest time to do so.
    var revokedBy: Uptime?
    /// Set when the partition's log went back. Nothing more is taken or stored until the partition is taken over again.
    var isStale = false

    init(ledger: Ledger) {
        tracker = OffsetTracker(from: ledger.start)
        self.ledger = ledger
    }
}
