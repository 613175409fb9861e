/// Decides whether and when the next call or read may go. Dispatch and the pipeline's deadline use the same decisions,
/// so the loop cannot sleep through a free slot or spin on an occupied one.
///
/// Five things must agree: the lease, the credential's gate, the circuit breaker, the quota of the API, and
/// the number of calls in flight.
struct Permits {
    /// A call or read in flight.
    private struct Permit {
        var isRead: Bool
        /// The slot of the quota that it occupies; nil where there is no limit.
        var slot: Int?
    }

    /// Whether other workers may call on the same quota, so that calls need a lease.
    private let needsLease: Bool
    private let hasQuota: Bool
    /// The maximum number of calls in flight.
    private let concurrency: Int
    private let mutations: Mutations
    private(set) var calls: Quota
    /// ListPluginStatus has its own quota.
    private(set) var reads: Quota
    private(set) var gate: AuthGate
    private(set) var breaker = CircuitBreaker()
    private var permits: [CallID: Permit] = [:]
    private var callCount = 0
    /// Where a lease is needed, calls may be sent until this time.
    private var leasedUntil: Uptime = .zero
    /// Whether this worker knows the previous caller's calls, so that its own handover is complete.
    private var hasTakenOver = false
    /// What this worker handed over the last time it was the caller.
    private var lastHandover: Handover?

    init(_ configuration: Pipeline.Configuration) {
        needsLease = configuration.needsLease
        hasQuota = configuration.quota != nil
        concurrency = configuration.concurrency
        mutations = configuration.mutations
        calls = Quota(configuration.quota, transit: configuration.transit)
        reads = calls
        gate = AuthGate(boundsFlight: hasQuota, mutations: mutations)
    }

    // MARK: When

    /// When the next call of any scope may go; nil where it must wait for an answer or a lease.
    func nextCall(_ now: Now) -> Uptime? {
        guard hasRoom(now.uptime), gate.state != .probing, breaker.state != .halfOpen, let free = calls.nextFree(now)
        else { return nil }
        return max(free, breaker.deadline ?? now.uptime)
    }

    /// How the quota will be used at this time, as far as is known; nil where there is no limit.
    func load(at time: Uptime) -> Pacing.Load? { calls.limit.map { .init(used: calls.used(at: time), limit: $0) } }

    /// When the next slot is free after this time; nil where it waits for an answer.
    func nextFreeing(after time: Uptime) -> Uptime? { calls.nextFreeing(after: time) }

    func canCall(_ now: Now) -> Bool { nextCall(now).map { $0 <= now.uptime } ?? false }

    /// When the next read of any subject may go; nil where it must wait for an answer or a lease.
    func nextRead(_ now: Now) -> Uptime? { hasRoom(now.uptime) ? reads.nextFree(now) : nil }

    func canRead(_ now: Now) -> Bool { nextRead(now).map { $0 <= now.uptime } ?? false }

    /// Whether no other worker of the group can be calling.
    func isLeased(_ now: Uptime) -> Bool {
        if mutations.has(.callsWithoutALease) { return !needsLease || hasTakenOver }
        return !needsLease || now < leasedUntil
    }

    private func hasRoom(_ now: Uptime) -> Bool {
        isLeased(now) && callCount < concurrency && (!hasQuota || permits.count < gate.room(now: now))
    }

    // MARK: Calls and reads

    mutating func acquireCall(_ call: CallID, _ subject: AuthGate.Subject, _ now: Now) {
        gate.sent(call, subject)
        breaker.sent(call)
        callCount += 1
        permits[call] = Permit(isRead: false, slot: calls.sent(now))
    }

    mutating func acquireRead(_ call: CallID, _ subject: AuthGate.Subject, _ now: Now) {
        gate.sent(call, subject)
        permits[call] = Permit(isRead: true, slot: reads.sent(now))
    }

    /// Frees the quota's slot. A slot is free one window after the answer, or at once where the server cannot have
    /// counted the call. Returns the limit that the answer named, where it applies from now on.
    mutating func release(_ call: CallID, _ reply: Reply, _ now: Now) -> RateLimit? {
        guard let permit = permits.removeValue(forKey: call) else { return nil }
        if permit.isRead {
            if reply.mayHaveArrived { reads.answered(permit.slot, now) } else { reads.unused(permit.slot) }
            return nil
        }
        callCount -= 1
        if reply.mayHaveArrived { calls.answered(permit.slot, now) } else { calls.unused(permit.slot) }
        guard let named = reply.rateLimit, reply.source == .hss else { return nil }
        let before = calls.limit
        calls.learn(named, now)
        return calls.limit == before ? nil : calls.limit
    }

    /// The server refused a call or read because there were too many.
    mutating func throttled(isRead: Bool, _ reply: Reply, _ now: Now) {
        if isRead {
            reads.throttled(now, retryAfter: reply.retryAfter, named: reply.rateLimit)
        } else {
            calls.throttled(now, retryAfter: reply.retryAfter, named: reply.rateLimit)
        }
    }

    // MARK: Credential

    mutating func accepted(_ call: CallID, _ subject: AuthGate.Subject) -> AuthGate.Acceptance {
        gate.accepted(call, subject)
    }

    /// The call or read showed nothing about the credential.
    mutating func inconclusive(_ call: CallID, _ subject: AuthGate.Subject) { gate.inconclusive(call, subject) }

    /// The credential was refused. True where this closed the gate.
    mutating func refused(_ call: CallID, _ subject: AuthGate.Subject, isToken: Bool, _ now: Uptime) -> Bool {
        gate.refused(call, subject, isToken: isToken, now: now)
    }

    mutating func credentialChanged(_ now: Uptime) { gate.renewed(now: now) }

    // MARK: Outages

    /// HSS answered a call with anything other than a failure of an outage.
    mutating func serviceAnswered() { breaker.answered() }

    /// A call failed as in an outage. Returns the number of rounds of such failures in a row.
    mutating func outageFailed(_ call: CallID, sentAt: Uptime, _ now: Uptime) -> Int {
        breaker.failed(call, sentAt: sentAt, now: now)
    }

    mutating func pauseProbes(until: Uptime) { breaker.pause(until: until) }

    // MARK: Lease

    /// The group cannot make another worker the caller before this time.
    mutating func lease(until: Uptime) { if hasTakenOver { leasedUntil = max(leasedUntil, until) } }

    /// Accounts for the calls of the previous caller.
    mutating func takeOver(from previous: PreviousOwner, _ now: Now) {
        hasTakenOver = true
        let previous = mutations.has(.forgetsTheQuotaOnATakeover) ? .none : previous
        // This worker's own handover contains nothing that it does not know.
        if let lastHandover, previous == .handedOver(lastHandover) { return }
        if case .handedOver(let handover) = previous, !handover.refusals.isEmpty {
            gate.takeOver(handover.refusals.map { min(now.uptime, now.uptime + ($0 - now.wall)) })
        }
        calls.takeOver(previous, busyUntil: \.start, now)
        reads.takeOver(previous, busyUntil: \.status, now)
    }

    /// What the next caller has to know; nil where this worker never took over, so that the
    /// earlier handover still applies.
    func handover(_ now: Now) -> Handover? {
        guard hasTakenOver else { return nil }
        if mutations.has(.leavesWithoutAHandover) { return Handover(start: [], status: []) }
        return Handover(
            start: calls.handOver(now), status: reads.handOver(now),
            refusals: gate.recentRefusals(now.uptime).map { now.wall + ($0 - now.uptime) })
    }

    /// This worker is no longer the caller.
    mutating func endLease(_ handover: Handover?) {
        (leasedUntil, hasTakenOver, lastHandover) = (.zero, false, handover)
    }
}
