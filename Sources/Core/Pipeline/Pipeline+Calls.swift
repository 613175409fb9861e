/// Sends calls, receives answers, and settles requests host by host.
extension Pipeline {
    /// Sends the waiting calls and reads that quota, gate and concurrency allow now.
    mutating func dispatch(_ now: Now) {
        guard !isDraining else { return }
        // Also where no call may go now, because the next deadline depends on what is parked.
        if permits.gate.changes != gateChanges {
            gateChanges = permits.gate.changes
            coalescer.unpark()
        }
        expireWhatIsTooLate(now)
        // A call shows more about the credential than a read.
        if permits.gate.state == .accepted { dispatchReads(now) }
        while permits.canCall(now), let batch = nextBatch(now) { send(batch, now) }
        dispatchReads(now)
    }

    /// When the credential, the reads and the policy's maintenance allow a call of a scope.
    func openings(_ now: Now) -> (Scope) -> Opening {
        let (gate, reads, active) = (permits.gate, reads, policy.activeMaintenance(at: now.wall))
        return { scope in
            let time = gate.earliest(scope.subject(), now: now.uptime).map { max($0, reads.hold(scope) ?? $0) }
            return Opening(time).held(by: active, scope, now)
        }
    }

    private mutating func nextBatch(_ now: Now) -> Batch? {
        while coalescer.waitingCount > 0 {
            guard var batch = permits.gate.state == .accepted ? nextAllowed(now) : nextProbe(now) else { return nil }
            if batch.scope.operateAll {
                batch.parts.removeAll { expireIfOver($0.request, now) }
                if batch.parts.isEmpty { continue }
                return batch
            }
            while let rest = withoutOver(batch, now) ?? withoutQuarantined(batch, now) {
                batch = coalescer.extend(rest, to: coalescer.capacity(of: rest.scope), now: now.uptime)
            }
            if !batch.hosts.isEmpty { return batch }
        }
        return nil
    }

    private mutating func nextAllowed(_ now: Now) -> Batch? {
        coalescer.next(now.uptime, permits.load(at: now.uptime), opening: openings(now))
    }

    /// The next call while it is not known whether the credential is good.
    private mutating func nextProbe(_ now: Now) -> Batch? {
        let (gate, load, openings) = (permits.gate, permits.load(at: now.uptime), openings(now))
        func next(_ isCandidate: (AuthGate.Subject) -> Bool) -> Batch? {
            coalescer.scan(now.uptime, load) { isCandidate($0.subject()) ? openings($0) : Opening(nil) }
        }
        if let untried = next(gate.isUntried) { return untried }
        if !configuration.mutations.has(.probesWithCallsOnly) {
            // A read shows more than one more probe of what was refused, which would otherwise come first every time.
            dispatchReads(now)
            guard permits.gate == gate else { return nil }
        }
        return next { _ in true }
    }

    /// The batch without requests that have expired by now; nil where none have.
    private mutating func withoutOver(_ batch: Batch, _ now: Now) -> Batch? {
        let over = Set(batch.parts.map(\.request).filter { expireIfOver($0, now) })
        return over.isEmpty ? nil : batch.without(over.contains)
    }

    private mutating func send(_ batch: Batch, _ now: Now) {
        nextCall += 1
        coalescer.sent(batch, now.uptime, permits.load(at: now.uptime))
        permits.acquireCall(nextCall, batch.scope.subject(), now)
        var batch = batch
        batch.sentAt = now.uptime
        calls[nextCall] = batch
        for part in batch.parts { open.update(part.request) { $0.inFlight += 1 } }
        let call = StartCall(
            id: nextCall, projectID: batch.scope.project.text, enterpriseProjectID: batch.scope.enterpriseProject?.text,
            pluginCode: batch.scope.plugin.text, operateAll: batch.scope.operateAll, hostIDs: batch.hosts)
        effects.append(.call(call))
        effects.append(.log(.called(call, requests: batch.parts.count)))
    }

    mutating func answered(_ call: CallID, _ reply: Reply, _ now: Now) {
        if let limit = permits.release(call, reply, now) { effects.append(.log(.limitLearned(limit))) }
        if let read = reads.answered(call) {
            readAnswered(call, read, reply, now)
            return
        }
        guard let batch = calls.removeValue(forKey: call) else { return }
        coalescer.unpark(batch.scope.subject())
        let summary = StartResult.CallSummary(
            id: callName(call), httpStatus: reply.httpStatus, requestID: reply.requestID,
            requests: batch.parts.count, hosts: batch.hosts.count, latency: reply.latency)
        let failure = Failure(reply)
        for part in batch.parts {
            let isAttempt = failure.map { $0.disposition == .retry || $0.disposition == .refuse } ?? true
            open.update(part.request) { entry in
                entry.inFlight -= 1
                entry.call = summary
                if isAttempt { entry.attempts += 1 }
            }
        }
        // A request in a call is not checked when it expires, so its expiry is scheduled again.
        defer {
            for part in batch.parts where open[part.request]?.stage == .calling { scheduleExpiry(part.request, now) }
        }
        guard let failure else {
            accepted(call, batch.scope.subject(), now)
            permits.serviceAnswered()
            coalescer.succeeded(batch.scope)
            if case .half(let tree, let index) = batch.scope.lane { halfAccepted(batch, tree, index, now) }
            if batch.scope.lane == .quarantined { isolation.mended(batch.hosts, of: batch.scope.project) }
            effects.append(
                .log(
                    .callSucceeded(
                        call, latency: reply.latency, requests: batch.parts.count, hosts: batch.hosts.count)))
            for part in batch.parts { settle(part, failure: nil, now) }
            return
        }
        failed(call, batch, failure, reply, now)
    }

    private mutating func failed(_ call: CallID, _ batch: Batch, _ failure: Failure, _ reply: Reply, _ now: Now) {
        if !failure.isKnown { effects.append(.log(.unknownCode(failure.code, detail: failure.detail))) }
        if failure.disposition != .stop {
            credentialWasNotRefused(call, batch.scope.subject(), reply, now)
        }
        let isOutage = failure.disposition == .retry && failure.scope != .host
        if !isOutage { permits.serviceAnswered() }
        switch failure.disposition {
        case .refuse:
            coalescer.succeeded(batch.scope)
            if failure.scope == .host && !batch.scope.operateAll {
                isolate(batch, failure, now)
            } else {
                for part in batch.parts { settle(part, failure: failure, now) }
            }
        case .retry where failure.scope == .host && !batch.scope.operateAll:
            isolate(batch, failure, now)
        case .retry:
            let failures = coalescer.failed(batch.scope, sentAt: batch.sentAt, now: now.uptime)
            let rounds = permits.outageFailed(call, sentAt: batch.sentAt, now.uptime)
            let pause = retry.pause(after: max(failures, rounds), using: &generator)
            permits.pauseProbes(until: now.uptime + pause)
            if failure.effectUnknown && !batch.scope.operateAll {
                // The call may have had its effect, so the states of the hosts are read before they are called again.
                ask(batch, .lost(failure, notBefore: now.uptime + pause, failures: failures), now)
            } else {
                putBack(batch, failure, notBefore: now.uptime + pause, failures: failures, now)
            }
        case .wait:
            permits.throttled(isRead: false, reply, now)
            effects.append(.log(.throttled(reply.rateLimit, until: permits.calls.nextFree(now))))
            putBack(batch, failure, notBefore: now.uptime, failures: coalescer.failures(batch.scope), now)
        case .stop:
            refused(call, batch.scope.subject(), failure, reply, now)
            putBack(batch, failure, notBefore: now.uptime, failures: coalescer.failures(batch.scope), now)
        }
        let nextIn = nextCallTime(now).map { $0 - now.uptime }
        effects.append(.log(.callFailed(call, failure, nextIn: nextIn, requests: batch.parts.count)))
    }

    /// An answer that does not refuse the credential accepts it, if the server checked the
    /// credential before it answered.
    mutating func credentialWasNotRefused(
        _ call: CallID, _ subject: AuthGate.Subject, _ reply: Reply, _ now: Now
    ) {
        if reply.acceptsCredential {
            accepted(call, subject, now)
        } else {
            permits.inconclusive(call, subject)
        }
    }

    mutating func accepted(_ call: CallID, _ subject: AuthGate.Subject, _ now: Now) {
        let acceptance = permits.accepted(call, subject)
        if acceptance.opens { effects.append(.log(.gateOpened)) }
        if acceptance.mends { effects.append(.log(.projectAccepted(subject.project.text))) }
        for other in acceptance.refusedAlone {
            effects.append(
                .log(.projectRefused(other.project.text, until: permits.gate.pausedUntil(other) ?? now.uptime)))
        }
    }

    mutating func refused(
        _ call: CallID, _ subject: AuthGate.Subject, _ failure: Failure, _ reply: Reply, _ now: Now
    ) {
        let closes = permits.refused(call, subject, isToken: reply.source == .iam, now.uptime)
        if closes, case .closed(let until) = permits.gate.state {
            effects.append(.log(.gateClosed(failure, serverDate: reply.serverDate, until: until)))
        }
    }

    /// Puts a batch back in line, except requests whose time is over.
    mutating func putBack(
        _ batch: Batch, _ failure: Failure, notBefore: Uptime, failures: Int, _ now: Now
    ) {
        var parts: [Coalescer.Return] = []
        var notBefore = notBefore
        for part in batch.parts {
            guard let entry = open[part.request], let request = entry.request, entry.stage == .calling else { continue }
            let isPassing = failure.disposition == .retry
            open.update(part.request) { entry in
                entry.failure = failure
                if isPassing && entry.failingSince == nil { entry.failingSince = now.uptime }
            }
            let budgetEnds = (entry.failingSince ?? now.uptime) + retry.budget
            let isOver = isPassing && now.uptime >= budgetEnds
            if isOver || isGivenUp(entry) {
                settle(part, failure: failure, now)
            } else {
                // The last attempt is at the end of the budget, so that no outage shorter
                // than the budget fails a request.
                notBefore = min(notBefore, max(now.uptime, budgetEnds))
                parts.append(
                    .init(
                        part: part, priority: request.priority, arrived: entry.admittedAt, latest: entry.expiresBy))
            }
        }
        guard !parts.isEmpty else { return }
        coalescer.putBack(parts, scope: batch.scope, notBefore: notBefore, failures: failures)
    }

    /// The batch without requests that will not be called here again. The next owner determines their outcome.
    mutating func withoutGivenUp(_ batch: Batch) -> Batch {
        let gone = batch.parts.filter { open[$0.request].map(isGivenUp) ?? true }
        guard !gone.isEmpty else { return batch }
        // A request that expired while its hosts were read may have a result on its way.
        // Such a request is not abandoned.
        for part in gone where open[part.request].map({ $0.inFlight == 0 && !$0.isPublishing }) ?? false {
            abandon(part.request)
        }
        let requests = Set(gone.map(\.request))
        return batch.without(requests.contains)
    }

    /// Whether the request is not called here again, because its partition is being given up or the worker is draining.
    private func isGivenUp(_ entry: OpenRequest) -> Bool {
        isDraining || partitions[entry.position.partition]?.revokedBy != nil
    }

    /// Records the outcome of some hosts of one request. The last outcome ends the request.
    mutating func settle(_ part: Batch.Part, failure: Failure?, _ now: Now) {
        guard var entry = open[part.request], let request = entry.request, entry.stage == .calling else { return }
        if isGivenUp(entry), let failure, failure.isRetryable {
            // These hosts have no outcome yet and get none here. The next owner calls again, once all
            // calls of the request are answered.
            if entry.inFlight == 0 { abandon(part.request) }
            return
        }
        let count = request.operateAll ? 1 : part.hosts.count
        entry.unsettled -= count
        if let failure {
            entry.failure = failure
            if !request.operateAll {
                entry.failedHosts.append(contentsOf: part.hosts.map { .init(hostID: $0, failure: failure) })
            }
        } else {
            entry.succeeded += count
            entry.failingSince = nil
            if entry.unsettled > 0 { entry.started += part.hosts }
        }
        open.update(part.request) { $0 = entry }
        guard entry.unsettled <= 0 else {
            // The other hosts will not be called here any more.
            if isGivenUp(entry) && entry.inFlight == 0 { abandon(part.request) }
            return
        }
        let status: Status =
            entry.succeeded == 0 ? .failed : entry.failedHosts.isEmpty ? .succeeded : .partiallySucceeded
        // A failure that was overcome is not the outcome.
        let final = status == .partiallySucceeded ? entry.failedHosts.last?.failure : entry.failure
        end(part.request, status, failure: status == .succeeded ? nil : final, now)
    }
}
