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
        /// Whether other workers may call with the same quota, so that calls need a lease (`Fact.leased`).
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

        #if MUTATIONS
            package var mutation: Mutation?
        #endif

        package init(quota: RateLimit?) { self.quota = quota }
    }

    package let configuration: Configuration
    let decoder: RequestDecoder
    let retry: RetryPolicy
    var generator: SplitMix64
    var partitions: [Int32: Partition] = [:]
    /// Those of them that are being given up.
    var revoked: Set<Int32> = []
    var open: [RequestID: OpenRequest] = [:]
    var calls: [CallID: Batch] = [:]
    var coalescer: Coalescer
    var quota: Quota
    /// ListPluginStatus has a budget of its own.
    var statusQuota: Quota
    var reads = StatusReads()
    var isolation = Isolation()
    var gate: AuthGate
    var breaker = CircuitBreaker()
    var intake = Intake()
    var expiries = Heap<Expiry>()
    var republish: [(at: Duration, request: RequestID)] = []
    /// Results in the order in which they went out; those that are acknowledged leave at the front.
    var unwritten = Queue<(request: RequestID, at: Duration)>()
    var chains: [Chain: Queue<RequestID>] = [:]
    var nextRequest: RequestID = 0
    var nextCall: CallID = 0
    /// Calls may be sent until then, by uptime; where a lease is needed.
    var leasedUntil: Duration = .zero
    /// Whether this worker knows of the previous caller's calls, so that what it would leave is all there is to know.
    var hasTakenOver = false
    /// What this worker left when it was the caller last.
    var leftHandover: Handover?
    /// What was done for requests that were left behind, should they come back.
    var carried: [Position: Carried] = [:]
    var isDraining = false
    var saidDrained = false
    var lastLedgerExpiry: Duration = .zero
    /// Filled while one fact is handled.
    var effects: [Effect] = []

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        decoder = RequestDecoder(maximumBytes: configuration.maximumRequestBytes, policy: configuration.policy)
        retry = RetryPolicy(budget: configuration.retryFor)
        generator = SplitMix64(seed: configuration.seed)
        gate = AuthGate(boundsFlight: configuration.quota != nil)
        #if MUTATIONS
            gate.mutation = configuration.mutation
        #endif
        coalescer = Coalescer(hostsPerCall: configuration.hostsPerCall)
        quota = Quota(configuration.quota, transit: configuration.transit)
        statusQuota = quota
    }

    /// The one way in.
    package mutating func handle(_ fact: Fact, now: Now) -> [Effect] {
        effects.removeAll(keepingCapacity: true)
        switch fact {
        case .assigned(let partition, let ledger): assigned(partition, ledger, now)
        case .tookOver(let previous): tookOver(from: previous, now)
        case .leased(let until): if hasTakenOver { leasedUntil = max(leasedUntil, until) }
        case .received(let record): admit(record, now)
        case .reachedEnd(let position): reachedEnd(position)
        case .answered(let call, let reply): answered(call, reply, now)
        case .published(let request): published(request, now)
        case .publishFailed(let request, let reason, let isTooLarge): publishFailed(request, reason, isTooLarge, now)
        case .revoked(let revoked, let isLost, let deadline): self.revoked(revoked, isLost: isLost, deadline: deadline)
        case .credentialChanged: gate.renewed(now: now.uptime)
        case .drain: drain()
        case .tick: tick(now)
        }
        // What was fetched together can share a call: whoever hands records over ticks when there are no more for now.
        if case .received = fact {} else { dispatch(now) }
        while let first = unwritten.first, !(open[first.request]?.isPublishing ?? false) { unwritten.popFirst() }
        balanceIntake(now.uptime)
        releaseWhatIsDone(now)
        return effects
    }

    // MARK: What the shell asks

    package var openCount: Int { open.count }
    /// Since when HSS has answered no call, as uptime; nil where it answers.
    package var unansweredSince: Duration? { breaker.state == .closed ? nil : breaker.since }
    package var openBytes: Int { intake.bytes }
    package var waitingCount: Int { coalescer.waitingCount }
    package var inFlight: Int { calls.count }
    /// Until when no call goes, by uptime: because the server said so, or because of what a previous caller may have called.
    package var heldUntil: Duration { quota.heldUntil }
    package var gateState: AuthGate.State { gate.state }
    /// Projects that are refused while the credential is accepted for others.
    package var refusedProjects: [String] { gate.refusedAlone }
    /// Whether there is room for another record.
    package var wantsRecords: Bool { !intake.isFull && !isDraining }
    /// Whether too much has been open for so long that the partitions are paused.
    package var isPaused: Bool { intake.isPaused }
    /// Whether a result was refused by the results topic and waits to go out again.
    package var hasUnpublished: Bool { !republish.isEmpty }
    /// How long the oldest result has waited for its topic to take it.
    package func unwrittenFor(_ now: Duration) -> Duration { unwritten.first.map { now - $0.at } ?? .zero }
    /// Whether it has waited for so long that nothing more is taken: the broker is away, say, which the library tries again
    /// and again without a word.
    package func areResultsStuck(_ now: Duration) -> Bool { unwrittenFor(now) >= Self.longestWrite }
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
        consider(republish.map(\.at).min())
        consider(intake.deadline)
        if !intake.isFull, let first = unwritten.first { consider(max(now.uptime, first.at + Self.longestWrite)) }
        for number in revoked { consider(partitions[number]?.revokedBy) }
        // A drain starts nothing.
        if isDraining { return earliest }
        // Not before gate and quota both allow it; what waits for an answer is woken by it.
        if !reads.isEmpty, hasRoom(now.uptime), let free = statusQuota.nextFree(now),
            let allowed = reads.earliest({ gate.earliest($0.subject, now: now.uptime) })
        {
            consider(max(free, allowed))
        }
        consider(nextCallTime(now))
        consider(expiries.first?.at)
        return earliest
    }

    /// When the next call may go, as uptime; nil where none waits, or where that waits for an answer or for partitions.
    func nextCallTime(_ now: Now) -> Duration? {
        guard coalescer.waitingCount > 0, !isDraining, hasRoom(now.uptime), breaker.state != .halfOpen,
            let free = quota.nextFree(now),
            let allowed = coalescer.nextEligible(
                now: now.uptime, earliest: { Self.earliest($0, gate, reads, now: now.uptime) })
        else { return nil }
        return max(free, allowed, breaker.deadline ?? now.uptime)
    }
}

/// One assigned partition.
struct Partition {
    var tracker: OffsetTracker
    var ledger: Ledger
    /// The open request that holds each key.
    var holders: [Fingerprint: RequestID] = [:]
    /// Its open requests, so that giving it up does not look through everybody's.
    var requests: Set<RequestID> = []
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

/// A request between admission and the acknowledged result.
struct OpenRequest {
    enum Stage: Equatable {
        /// Behind the earlier request that holds its key.
        case parked
        /// Behind an earlier request with its Kafka key.
        case chained
        /// In the coalescer, in a call, or partly in both.
        case calling
        case publishing(StartResult)
    }

    var position: Position
    var identity: Fingerprint
    var timestamp: Timestamp?
    var recordKey: [UInt8]?
    var size: Int
    var admittedAt: Duration
    /// Nil for a record that is no valid request.
    var request: StartRequest?
    var scopedKey: Fingerprint?
    var fingerprint: Fingerprint?
    var stage: Stage = .calling
    /// Hosts (or the one `operate_all`) with neither success nor final failure.
    var unsettled = 0
    var succeeded = 0
    /// Those that succeeded while others had no outcome yet.
    var started: [String] = []
    /// Parts of it that are in a call now.
    var inFlight = 0
    /// Whether hosts of it were seen as started after an answer was lost.
    var isObserved = false
    var attempts = 0
    /// Halves of refused calls of which it was the only request.
    var halves = 0
    /// When it first failed in a way that can pass, with nothing of it started since: the retry budget runs from here.
    var failingSince: Duration?
    var failedHosts: [StartResult.FailedHost] = []
    var failure: Failure?
    var call: StartResult.CallSummary?
    /// Requests with the same key that wait for this one's end, in order.
    var followers: [RequestID] = []

    var isPublishing: Bool { if case .publishing = stage { true } else { false } }
}

/// What was done for a request before its partition went: the retry budget is not begun anew when it comes back.
struct Carried {
    var identity: Fingerprint
    var attempts: Int
    var failingSince: Duration?
    var failure: Failure?
    var call: StartResult.CallSummary?
}

/// When a request may no longer be called, by uptime.
struct Expiry: Comparable {
    var at: Duration
    var request: RequestID

    static func < (a: Self, b: Self) -> Bool { (a.at, a.request) < (b.at, b.request) }
}

/// Records of one partition with one Kafka key, which are called in order.
struct Chain: Hashable {
    var partition: Int32
    var key: [UInt8]
}
