/// Sends status reads, and concludes from their answers which hosts are started or faulty.
extension Pipeline {
    /// Reads the states of a batch's hosts before anything else is done with the batch.
    mutating func ask(_ asked: Batch, _ purpose: StatusReads.Read.Purpose, _ now: Now) {
        let batch = withoutGivenUp(asked)
        guard !batch.hosts.isEmpty else { return }
        reads.wait(StatusReads.Read(batch: batch, purpose: purpose, since: now.uptime))
    }

    /// Sends the reads that may go now. Reads have their own quota.
    mutating func dispatchReads(_ now: Now) {
        guard !isDraining, !reads.isEmpty else { return }
        while let read = nextRead({ $0.isHopeless(gate: $1, now.uptime) }) { conclude(read, hasEvidence: false, now) }
        while permits.canRead(now),
            var read = nextRead({ $0.notBefore <= now.uptime && $1.allows($0.subject, now: now.uptime) })
        {
            read.batch = withoutGivenUp(read.batch)
            if read.batch.hosts.isEmpty {
                coalescer.unpark(read.batch.scope.subject())
                continue
            }
            if read.toAsk.isEmpty { begin(&read, now) }
            nextCall += 1
            permits.acquireRead(nextCall, read.subject, now)
            let hosts = Array(read.toAsk.prefix(StatusReads.hostsPerRead))
            read.toAsk = read.toAsk.dropFirst(hosts.count)
            reads.sent(nextCall, read)
            let scope = read.batch.scope
            effects.append(
                .query(
                    StatusQuery(
                        id: nextCall, projectID: scope.project.text, enterpriseProjectID: scope.enterpriseProject?.text,
                        pluginCode: scope.plugin.text, hostIDs: hosts, offset: 0, limit: 200)))
        }
    }

    private mutating func nextRead(_ isReady: (StatusReads.Read, AuthGate) -> Bool) -> StatusReads.Read? {
        let gate = permits.gate
        return reads.next { isReady($0, gate) }
    }

    private mutating func begin(_ read: inout StatusReads.Read, _ now: Now) {
        read.states = [:]
        read.toAsk = read.batch.hosts[...]
        guard case .refused = read.purpose, read.batch.scope.lane == .shared || read.batch.scope.lane == .behind else {
            return
        }
        var ahead = read.batch
        ahead.parts = []
        ahead = coalescer.extend(ahead, to: StatusReads.hostsPerRead, now: now.uptime)
        read.toAsk = ahead.hosts[...]
        read.ahead = ahead.only(ahead.parts.flatMap(\.hosts))
    }

    mutating func readAnswered(_ call: CallID, _ answered: StatusReads.Read, _ reply: Reply, _ now: Now) {
        var read = answered
        coalescer.unpark(read.batch.scope.subject())
        guard let failure = Failure(reply) else {
            accepted(call, read.subject, now)
            for host in reply.hosts { read.states[ExactText(host.hostID)] = host }
            if read.toAsk.isEmpty { conclude(read, hasEvidence: true, now) } else { reads.wait(read) }
            return
        }
        if let ahead = read.ahead { requeue(withoutGivenUp(ahead)) }
        (read.ahead, read.toAsk) = (nil, [])
        if failure.disposition == .stop {
            refused(call, read.subject, failure, reply, now)
        } else {
            credentialWasNotRefused(call, read.subject, reply, now)
        }
        switch failure.disposition {
        case .wait:
            permits.throttled(isRead: true, reply, now)
            reads.wait(read)
        case .stop: reads.wait(read)
        case .retry where read.failures + 1 < read.maximumFailures:
            read.failures += 1
            read.notBefore = now.uptime + retry.pause(after: read.failures, using: &generator)
            reads.wait(read)
        case .retry, .refuse: conclude(read, hasEvidence: false, now)
        }
    }

    private mutating func conclude(_ read: StatusReads.Read, hasEvidence: Bool, _ now: Now) {
        let batch = withoutGivenUp(read.batch)
        coalescer.unpark(read.batch.scope.subject())
        switch read.purpose {
        case .refused(let failure):
            if let ahead = read.ahead {
                let faulty = ahead.hosts.filter { Self.fault(read.states[ExactText($0)]) != nil }
                quarantine(faulty, of: batch.scope, now)
                requeue(withoutGivenUp(ahead))
            }
            if hasEvidence {
                concludeRefused(batch, failure, read.states, now)
            } else {
                bisect(batch, failure, now)
            }
        case .lost(let failure, let notBefore, let failures):
            let started = batch.hosts.filter { Self.isStarted(read.states[ExactText($0)]) }
            observed(batch.only(started), now)
            putBack(
                batch.without(started), failure, notBefore: max(notBefore, now.uptime), failures: failures, now)
        }
    }

    private mutating func concludeRefused(
        _ batch: Batch, _ failure: Failure, _ states: [ExactText: HostStatus], _ now: Now
    ) {
        let started = batch.hosts.filter { Self.isStarted(states[ExactText($0)]) }
        observed(batch.only(started), now)
        let rest = batch.without(started)
        let faults = Dictionary(grouping: rest.hosts) { Self.fault(states[ExactText($0)]) }
        let named = faults.filter { $0.key != nil }.values.flatMap { $0 }
        guard !named.isEmpty else {
            // A call for the same hosts would be refused again.
            if started.isEmpty {
                bisect(rest, failure, now)
            } else {
                move(batch, from: .held, to: batch.scope.lane)
                requeue(rest)
            }
            return
        }
        // The code shows which of the faulty hosts caused the refusal. The other faulty hosts are called
        // separately, so that each has its own code.
        let blamed = faults[failure.code] ?? named
        faulty(rest.only(blamed), failure, now)
        let others = Set(named).subtracting(blamed)
        quarantine(Array(others), of: batch.scope, now)
        var apart = rest.only(others)
        apart.scope.lane = .quarantined
        requeue(apart)
        // Healthy hosts of a request that names a faulty host wait in lane `behind`, because the request
        // is likely to cost another call.
        let mixed = Set(rest.only(named).parts.map(\.request))
        requeue(rest.without(named).without { mixed.contains($0) })
        var behind = rest.without(named).without { !mixed.contains($0) }
        behind.scope.lane = .behind
        requeue(behind)
        move(batch, from: .held, to: .behind)
    }

    /// The fault that keeps a host from being called, as the vendor's code; nil where the state shows no fault.
    private static func fault(_ state: HostStatus?) -> String? {
        guard let state else { return "HSS.0011" }
        if state.agentStatus == "not_installed" || state.agentStatus == "install_failed" { return "HSS.1001" }
        if state.agentStatus == "offline" || state.pluginStatus == "offline" { return "HSS.1007" }
        if ["not_installed", "install_fail"].contains(state.pluginStatus) { return "HSS.0001" }
        return nil
    }

    private static func isStarted(_ state: HostStatus?) -> Bool {
        ["starting", "running"].contains(state?.pluginStatus ?? "")
    }

    /// The read shows these hosts as started.
    private mutating func observed(_ batch: Batch, _ now: Now) {
        for part in batch.parts {
            open.update(part.request) { $0.isObserved = true }
            settle(part, failure: nil, now)
        }
    }
}
