/// Admits a record: decodes it, then puts the request in line or gives it a result at once.
extension Pipeline {
    mutating func assigned(_ number: Int32, _ ledger: Ledger, _ now: Now) {
        partitions[number] = Partition(ledger: ledger)
        revoked.remove(number)
        if configuration.mutations.has(.startsWithAnEmptyLedger) { partitions[number] = Partition(ledger: Ledger()) }
        if configuration.mutations.has(.resumesWhatIsNotPaused), !intake.isPaused { effects.append(.resume([number])) }
        if intake.isPaused {
            partitions[number]?.isPaused = true
            effects.append(.pause([number]))
        }
    }

    mutating func tookOver(from previous: PreviousOwner, _ now: Now) {
        // Partition 0 may already be gone, and the role of caller with it.
        guard partitions[0] != nil else { return }
        permits.takeOver(from: previous, now)
        let free = permits.calls.nextFree(now)
        effects.append(.log(.tookOver(previous, until: free.flatMap { $0 > now.uptime ? $0 : nil })))
    }

    mutating func admit(_ record: Record, _ now: Now) {
        let number = record.position.partition
        guard admits(number) else { return }
        guard partitions[number]?.tracker.open(record.position.offset) ?? false else { return goBack(record.position) }
        partitions[number]?.ledger.passed(record.position.offset)
        let identity = record.identity(topic: configuration.requestsTopic)
        let decoded = decoder.decode(record)
        switch answer(to: record, identity, decoded) {
        case .itsOwn:
            effects.append(.log(.skipped(record.position)))
            done(record.position)
            return
        case .anothers: effects.append(.log(.anothersResult(record.position)))
        case .none: break
        }
        var entry = OpenRequest(
            position: record.position, identity: identity, timestamp: record.timestamp, recordKey: record.key,
            record: configuration.deadLetters.isEmpty ? nil : record, size: record.size, admittedAt: now.uptime)
        if configuration.mutations.has(.losesTheRetryCountOnARebalance) { open.forgetAttempts() }
        switch decoded {
        case .failure(let rejection):
            let id = open.insert(entry)
            end(id, .rejected, failure: Failure(rejection), fields: rejection.fields, now)
        case .success(let request):
            entry.request = request
            entry.redrive = Redrive(record, topic: configuration.requestsTopic)
            deduplicate(open.insert(entry), now)
        }
    }

    private func answer(
        to record: Record, _ identity: Fingerprint, _ decoded: Result<StartRequest, Rejection>
    ) -> Ledger.Answer {
        if configuration.mutations.has(.takesTheOffsetForTheRecord) {
            return partitions[record.position.partition]?.ledger.holds(record.position.offset) ?? false
                ? .itsOwn : .none
        }
        var request: StartRequest?
        if case .success(let valid) = decoded { request = valid }
        return partitions[record.position.partition]?.ledger.answer(to: record, identity, request) ?? .none
    }

    /// Whether the partition's records are taken. Records of a partition that is gone or being given up are not,
    /// because its next owner reads them again.
    private func admits(_ number: Int32) -> Bool {
        guard !isDraining, let partition = partitions[number] else { return false }
        return partition.revokedBy == nil && !partition.isStale
    }

    /// Within one assignment a consumer goes back only where the log did, because the topic was recreated or an
    /// election lost records. Only results can show which of the following records were answered before, so the
    /// partition is taken over again. What is in flight finishes as in any revoke. No offset is stored from now on,
    /// because it would belong to another log.
    private mutating func goBack(_ position: Position) {
        guard let partition = partitions[position.partition] else { return }
        partitions[position.partition]?.isStale = true
        effects.append(
            .log(
                .wentBack(position, highest: partition.tracker.next - 1, open: open.ids(of: position.partition).count)))
        let from = min(position.offset, partition.tracker.firstOpen ?? position.offset)
        effects.append(.takeAnew(partition: position.partition, from: from))
    }

    /// Every record of the partition before this offset was received. The end may lie beyond them after a transaction
    /// marker, or after aborted or deleted records.
    mutating func reachedEnd(_ end: Position) {
        // Records of a partition that is being given up were not taken.
        guard admits(end.partition) else { return }
        if let tracker = partitions[end.partition]?.tracker, end.offset < tracker.next { return goBack(end) }
        guard let offset = partitions[end.partition]?.tracker.reachedEnd(end.offset)
        else { return }
        effects.append(.store(partition: end.partition, offset: offset))
    }

    /// Decides whether a valid request is new, a repeat, a conflict or too late.
    mutating func deduplicate(_ id: RequestID, _ now: Now) {
        guard let entry = open[id], let request = entry.request, let key = entry.scopedKey,
            let partition = partitions[entry.position.partition]
        else { return }
        if let expiresAt = request.expiresAt, expiresAt <= now.wall {
            // If calls were made before the request returned to this worker, the result
            // gives their failure as the reason.
            let isCalled = entry.attempts > 0
            if isCalled && open.owner(of: key, in: entry.partition) == nil { open.occupyKey(id) }
            end(id, isCalled ? .failed : .expired, failure: entry.failure ?? .expired(expiresAt), now)
            return
        }
        if configuration.mutations.has(.remembersBeforeTheAcknowledgement),
            let outcome = partition.ledger.outcome(for: key, now: now.wall, window: configuration.dedupeWindow)
        {
            return repeated(id, of: outcome, now)
        }
        if let owner = open.owner(of: key, in: entry.partition) {
            open.update(id) { $0.stage = .waitingForKey }
            open.update(owner) { $0.waitingDuplicates.append(id) }
        } else if let outcome = outcome(for: key, request, entry.redrive, partition.ledger, now.wall) {
            repeated(id, of: outcome, now)
        } else if let failure = refusal(id, request, now) {
            end(id, .rejected, failure: failure, now)
        } else {
            open.occupyKey(id)
            lineUp(id, request, now)
        }
    }

    /// The earlier outcome that answers the request; nil where the request is a new attempt.
    private func outcome(
        for key: Fingerprint, _ request: StartRequest, _ redrive: Redrive?, _ ledger: Ledger, _ now: Timestamp
    ) -> Ledger.Outcome? {
        let window = configuration.dedupeWindow
        guard let redrive else { return ledger.outcome(for: key, now: now, window: window) }
        if configuration.mutations.has(.redrivesAnyOutcome) { return nil }
        return ledger.outcome(for: key, redriving: redrive, request.fingerprint, now: now, window: window)
    }

    /// Why a request that would be called gets no call: a limit's window is full, or the policy is on a dry run. A request
    /// that was counted before, or called, came back after a rebalance.
    private mutating func refusal(_ id: RequestID, _ request: StartRequest, _ now: Now) -> Failure? {
        guard let entry = open[id], entry.attempts == 0 else { return nil }
        if !policy.limits.isEmpty && !entry.isCounted {
            if let refusal = limitCounts.admit(request, policy, now) { return Failure(Rejection(refusal, request)) }
            open.update(id) { $0.isCounted = true }
        }
        return policy.isDryRun ? .dryRun(request, policy.decision(for: request, at: now.wall)) : nil
    }

    /// Requests that wait keep their leave. Only the times of calls are looked at again.
    mutating func policyChanged(_ policy: Policy) {
        decoder.policy = policy
        limitCounts.keep(policy)
        coalescer.unpark()
    }

    /// Ends a request whose key already has an outcome.
    mutating func repeated(_ id: RequestID, of outcome: Ledger.Outcome, _ now: Now) {
        let isSame = open[id]?.request?.fingerprint.high == outcome.fingerprint.high
        end(
            id, isSame ? .duplicate : .conflict,
            failure: isSame ? outcome.failure : .conflict, now,
            original: .init(status: outcome.status, offset: outcome.offset))
    }

    private mutating func lineUp(_ id: RequestID, _ request: StartRequest, _ now: Now) {
        open.update(id) { $0.unsettled = request.operateAll ? 1 : request.hostIDs.count }
        scheduleExpiry(id, now)
        if configuration.keepsKeyOrder, let entry = open[id], !order.enter(id, entry) {
            open.update(id) { $0.stage = .waitingForOrder }
        } else {
            enqueue(id, now.uptime)
        }
    }

    /// Schedules an expiry check for the request. Rebuilds the queue when stale entries dominate.
    mutating func scheduleExpiry(_ id: RequestID, _ now: Now) {
        guard expiries.isStale(openCount: open.count) else { return schedule(id, now) }
        expiries.removeAll()
        for id in open.ids { schedule(id, now) }
    }

    private mutating func schedule(_ id: RequestID, _ now: Now) {
        guard let expiresAt = open[id]?.request?.expiresAt else { return }
        let time = now.uptime + (expiresAt - now.wall)
        open.update(id) { $0.expiresBy = time }
        expiries.schedule(id, at: time)
    }

    mutating func enqueue(_ id: RequestID, _ now: Uptime) {
        guard let request = open[id]?.request else { return }
        open.update(id) { $0.stage = .calling }
        let scope = Scope(request)
        let faulty = request.hostIDs.filter { isolation.isQuarantined($0, of: scope.project, now: now) }
        enqueue(id, request.hostIDs, Set(faulty.map(ExactText.init)), scope)
    }
}

extension Failure {
    init(_ rejection: Rejection) {
        self.init(
            category: rejection.category == .policy ? .policy : .invalid, disposition: .refuse, scope: .request,
            code: rejection.category == .policy ? "policy" : "invalid",
            title: rejection.category == .policy ? "Not allowed by the policy" : "Not a valid request",
            detail: rejection.message)
    }

    /// What would have been done without the dry run.
    static func dryRun(_ request: StartRequest, _ decision: PolicyDecision) -> Failure {
        let hosts = request.operateAll ? "all" : "\(request.hostIDs.count)"
        return Failure(
            category: .policy, disposition: .refuse, scope: .request, code: "dry-run",
            title: "Dry run: no call was made",
            detail: "would start \(request.pluginCode) on \(hosts) hosts of project \(request.projectID); "
                + decision.description)
    }

    static func expired(_ at: Timestamp) -> Failure {
        Failure(
            category: .expired, disposition: .refuse, scope: .request, code: "expired",
            title: "Expired before a call could be made", detail: "expires_at was \(at)")
    }

    static let conflict = Failure(
        category: .request, disposition: .refuse, scope: .request, code: "conflict",
        title: "The key was used for another action")
}
