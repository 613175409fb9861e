/// A record comes in: from its bytes to a place in line, or straight to a result.
extension Pipeline {
    mutating func assigned(_ number: Int32, _ ledger: Ledger, _ now: Now) {
        partitions[number] = Partition(ledger: ledger)
        revoked.remove(number)
        #if MUTATIONS
            if configuration.mutation == .startsWithAnEmptyLedger { partitions[number] = Partition(ledger: Ledger()) }
            if configuration.mutation == .resumesWhatIsNotPaused, !intake.isPaused { effects.append(.resume([number])) }
        #endif
        if intake.isPaused {
            partitions[number]?.isPaused = true
            effects.append(.pause([number]))
        }
    }

    mutating func tookOver(from previous: PreviousOwner, _ now: Now) {
        // The place may be gone again.
        guard partitions[0] != nil else { return }
        #if MUTATIONS
            let previous = configuration.mutation == .forgetsTheQuotaOnATakeover ? .none : previous
        #endif
        hasTakenOver = true
        // What this worker left itself tells it nothing.
        if leftHandover.map({ previous != .handedOver($0) }) ?? true { countCalls(of: previous, now) }
        let free = quota.nextFree(now)
        effects.append(.log(.tookOver(previous, until: free.flatMap { $0 > now.uptime ? $0 : nil })))
    }

    private mutating func countCalls(of previous: PreviousOwner, _ now: Now) {
        if case .handedOver(let handover) = previous, !handover.refusals.isEmpty {
            gate.takeOver(handover.refusals.map { min(now.uptime, now.uptime + ($0 - now.wall)) })
        }
        quota.takeOver(previous, busyUntil: \.start, now)
        statusQuota.takeOver(previous, busyUntil: \.status, now)
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
        nextRequest += 1
        let id = nextRequest
        var entry = OpenRequest(
            position: record.position, identity: identity, timestamp: record.timestamp, recordKey: record.key,
            size: record.size,
            admittedAt: now.uptime)
        #if MUTATIONS
            if configuration.mutation == .losesTheRetryCountOnARebalance { carried = [:] }
        #endif
        if let before = carried.removeValue(forKey: record.position), before.identity == identity {
            (entry.attempts, entry.failingSince) = (before.attempts, before.failingSince)
            (entry.failure, entry.call) = (before.failure, before.call)
        }
        intake.add(entry.size)
        partitions[number]?.requests.insert(id)
        switch decoded {
        case .failure(let rejection):
            open[id] = entry
            end(id, .rejected, failure: Failure(rejection), fields: rejection.fields, now)
        case .success(let request):
            entry.request = request
            entry.scopedKey = request.scopedKey
            entry.fingerprint = request.fingerprint
            open[id] = entry
            judge(id, now)
        }
    }

    private func answer(
        to record: Record, _ identity: Fingerprint, _ decoded: Result<StartRequest, Rejection>
    ) -> Ledger.Answer {
        #if MUTATIONS
            if configuration.mutation == .takesTheOffsetForTheRecord {
                return partitions[record.position.partition]?.ledger.holds(record.position.offset) ?? false
                    ? .itsOwn : .none
            }
        #endif
        var request: StartRequest?
        if case .success(let valid) = decoded { request = valid }
        return partitions[record.position.partition]?.ledger.answer(to: record, identity, request) ?? .none
    }

    /// Whether the partition's records are taken: not of one that is gone or going, because its next owner reads them again.
    private func admits(_ number: Int32) -> Bool {
        guard !isDraining, let partition = partitions[number] else { return false }
        return partition.revokedBy == nil && !partition.isStale
    }

    /// Within one assignment a consumer only goes back where the log did: the topic was created again, or records were lost
    /// in an election. Which of the records that come now were answered before, only their results can tell, so that the
    /// partition is taken over anew. What is in flight ends as in any revoke; what is stored from now on would be of another
    /// log.
    private mutating func goBack(_ position: Position) {
        guard let partition = partitions[position.partition] else { return }
        partitions[position.partition]?.isStale = true
        effects.append(
            .log(
                .wentBack(position, highest: partition.tracker.next - 1, open: partition.requests.count)))
        let from = min(position.offset, partition.tracker.firstOpen ?? position.offset)
        effects.append(.takeAnew(partition: position.partition, from: from))
    }

    /// The partition has nothing before this offset that was not received: its end can be a transaction's marker, or records
    /// that were aborted or deleted.
    mutating func reachedEnd(_ end: Position) {
        // Records of a partition that is going were not taken.
        guard admits(end.partition) else { return }
        if let tracker = partitions[end.partition]?.tracker, end.offset < tracker.next { return goBack(end) }
        guard let offset = partitions[end.partition]?.tracker.reachedEnd(end.offset)
        else { return }
        effects.append(.store(partition: end.partition, offset: offset))
    }

    /// Decides what a valid request is: a first time, a repeat, a conflict, too late.
    mutating func judge(_ id: RequestID, _ now: Now) {
        guard let entry = open[id], let request = entry.request, let key = entry.scopedKey,
            let partition = partitions[entry.position.partition]
        else { return }
        if let expiresAt = request.expiresAt, expiresAt <= now.wall {
            // Where calls were made before it came back here, they are what it failed of.
            let isCalled = entry.attempts > 0
            if isCalled && partition.holders[key] == nil { partitions[entry.position.partition]?.holders[key] = id }
            end(id, isCalled ? .failed : .expired, failure: entry.failure ?? .expired(expiresAt), now)
            return
        }
        #if MUTATIONS
            if configuration.mutation == .remembersBeforeTheAcknowledgement,
                let outcome = partition.ledger.outcome(for: key, now: now.wall, window: configuration.dedupeWindow)
            {
                return repeated(id, of: outcome, now)
            }
        #endif
        if let holder = partition.holders[key] {
            open[id]?.stage = .parked
            open[holder]?.followers.append(id)
        } else if let outcome = partition.ledger.outcome(
            for: key, now: now.wall, window: configuration.dedupeWindow)
        {
            repeated(id, of: outcome, now)
        } else {
            partitions[entry.position.partition]?.holders[key] = id
            lineUp(id, request, now)
        }
    }

    /// Ends a request whose key has an outcome.
    mutating func repeated(_ id: RequestID, of outcome: Ledger.Outcome, _ now: Now) {
        let isSame = open[id]?.fingerprint?.high == outcome.fingerprint.high
        end(
            id, isSame ? .duplicate : .conflict,
            failure: isSame ? outcome.failure : .conflict, now,
            original: .init(status: outcome.status, offset: outcome.offset))
    }

    private mutating func lineUp(_ id: RequestID, _ request: StartRequest, _ now: Now) {
        open[id]?.unsettled = request.operateAll ? 1 : request.hostIDs.count
        noteExpiry(id, now)
        guard configuration.keepsKeyOrder, let chain = chain(of: id) else {
            enqueue(id, now.uptime)
            return
        }
        let isFirst = chains[chain]?.isEmpty ?? true
        chains[chain, default: Queue()].append(id)
        if isFirst { enqueue(id, now.uptime) } else { open[id]?.stage = .chained }
    }

    /// Has a look at the request when its time is over. Most end before: their entries are dropped when there are too many.
    mutating func noteExpiry(_ id: RequestID, _ now: Now) {
        guard expiries.count <= 2 * open.count + 64 else {
            expiries = Heap()
            for id in open.keys { noteExpiry(id, now) }
            return
        }
        guard let expiresAt = open[id]?.request?.expiresAt else { return }
        expiries.insert(Expiry(at: now.uptime + (expiresAt - now.wall), request: id))
    }

    func chain(of id: RequestID) -> Chain? {
        guard let entry = open[id], let key = entry.recordKey else { return nil }
        return Chain(partition: entry.position.partition, key: key)
    }

    mutating func enqueue(_ id: RequestID, _ now: Duration) {
        guard let request = open[id]?.request else { return }
        open[id]?.stage = .calling
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

    static func expired(_ at: Timestamp) -> Failure {
        Failure(
            category: .expired, disposition: .refuse, scope: .request, code: "expired",
            title: "Expired before a call could be made", detail: "expires_at was \(at)")
    }

    static let conflict = Failure(
        category: .request, disposition: .refuse, scope: .request, code: "conflict",
        title: "The key was used for another action")
}
