/// Calls go out, answers come back, requests are settled host by host.
extension Pipeline {
    /// Sends what may go now: quota, gate and concurrency allow it and something waits.
    mutating func dispatch(_ now: Now) {
        guard !isDraining else { return }
        expireWhatIsTooLate(now)
        // A call tells more of the credential than a read.
        if permits.gate.state == .accepted { dispatchReads(now) }
        while permits.canCall(now), let batch = nextBatch(now) { send(batch, now) }
        dispatchReads(now)
    }

    /// When a call of the scope may go, as far as credential and reads go; nil where an answer has to come first.
    func earliest(_ scope: Scope, _ now: Duration) -> Duration? {
        permits.earliest(scope.subject(), now).map { max($0, reads.hold(scope) ?? $0) }
    }

    private mutating func nextBatch(_ now: Now) -> Batch? {
        while coalescer.waitingCount > 0 {
            let (gate, reads) = (permits.gate, reads)
            func next(_ isTried: @escaping (AuthGate.Subject) -> Bool) -> Batch? {
                coalescer.next(now: now.uptime) { scope in
                    isTried(scope.subject()) && gate.allows(scope.subject(), now: now.uptime)
                        && reads.hold(scope).map { $0 <= now.uptime } ?? true
                }
            }
            let untried = gate.state == .accepted ? nil : next(gate.isUntried)
            if untried == nil && gate.state != .accepted && !configuration.mutations.has(.probesWithCallsOnly) {
                // A read tells more than one more probe of what was refused, which would come first again and again.
                dispatchReads(now)
                guard permits.gate == gate else { return nil }
            }
            guard var batch = untried ?? next({ _ in true }) else { return nil }
            if batch.scope.operateAll {
                batch.parts.removeAll { expireIfOver($0.request, now) }
                if batch.parts.isEmpty { continue }
                return batch
            }
            while let rest = withoutOver(batch, now) ?? withoutQuarantined(batch, now) {
                batch = coalescer.extend(rest, to: configuration.hostsPerCall, now: now.uptime)
            }
            if !batch.hosts.isEmpty { return batch }
        }
        return nil
    }

    /// Without requests whose time is over by now; nil where there are none.
    private mutating func withoutOver(_ batch: Batch, _ now: Now) -> Batch? {
        let over = Set(batch.parts.map(\.request).filter { expireIfOver($0, now) })
        return over.isEmpty ? nil : batch.without(over.contains)
    }

    private mutating func send(_ batch: Batch, _ now: Now) {
        nextCall += 1
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
        // What was in a call when its time came was passed over then.
        defer {
            for part in batch.parts where open[part.request]?.stage == .calling { scheduleExpiry(part.request, now) }
        }
        guard let failure else {
            accepted(call, batch.scope.subject(), now)
            permits.serviceAnswered()
            coalescer.succeeded(batch.scope)
            if case .half = batch.scope.lane { move(batch, from: .held, to: .behind) }
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
                // It may be done: the hosts are looked at before they are called again.
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

    /// An answer that is no refusal of the credential accepts it, where the server looked at the credential to give it.
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

    /// Back into line, but for those whose time is over.
    mutating func putBack(
        _ batch: Batch, _ failure: Failure, notBefore: Duration, failures: Int, _ now: Now
    ) {
        var parts: [(part: Batch.Part, priority: Priority, arrived: Duration)] = []
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
                // The last try is at the budget's end, so that no outage shorter than it fails a request.
                notBefore = min(notBefore, max(now.uptime, budgetEnds))
                parts.append((part, request.priority, entry.admittedAt))
            }
        }
        guard !parts.isEmpty else { return }
        coalescer.putBack(parts, scope: batch.scope, notBefore: notBefore, failures: failures)
    }

    /// The batch without those that will not be called again here: the next owner finds out what is to be found out.
    mutating func withoutGivenUp(_ batch: Batch) -> Batch {
        let gone = batch.parts.filter { open[$0.request].map(isGivenUp) ?? true }
        guard !gone.isEmpty else { return batch }
        // A result may be on its way for what expired while its hosts were looked at: that is waited for.
        for part in gone where open[part.request].map({ $0.inFlight == 0 && !$0.isPublishing }) ?? false {
            abandon(part.request)
        }
        let requests = Set(gone.map(\.request))
        return batch.without(requests.contains)
    }

    /// Whether the request's partition is going or the worker is, so that it is not called again here.
    private func isGivenUp(_ entry: OpenRequest) -> Bool {
        isDraining || partitions[entry.position.partition]?.revokedBy != nil
    }

    /// Hosts of one request have their outcome; the last of them ends the request.
    mutating func settle(_ part: Batch.Part, failure: Failure?, _ now: Now) {
        guard var entry = open[part.request], let request = entry.request, entry.stage == .calling else { return }
        if isGivenUp(entry), let failure, failure.isRetryable {
            // No outcome yet, and none will come here: the next owner calls again, once all of its calls are answered.
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
            // The rest of it will not be called here any more.
            if isGivenUp(entry) && entry.inFlight == 0 { abandon(part.request) }
            return
        }
        let status: Status =
            entry.succeeded == 0 ? .failed : entry.failedHosts.isEmpty ? .succeeded : .partiallySucceeded
        // A failure that passed is not what became of it.
        let final = status == .partiallySucceeded ? entry.failedHosts.last?.failure : entry.failure
        end(part.request, status, failure: status == .succeeded ? nil : final, now)
    }

    /// Whom no call can reach in time is told so at once.
    private mutating func expireWhatIsTooLate(_ now: Now) {
        // A gate can open sooner than it says, and so can an outage end.
        let next = permits.calls.earliestPossible(now)
        while let id = expiries.takeDue(next) {
            // The clock may have been set back since.
            if let expiresAt = open[id]?.request?.expiresAt, expiresAt > now.wall + (next - now.uptime) {
                scheduleExpiry(id, now)
            } else {
                expire(id, now)
            }
        }
    }

    /// Ends a request whose `expires_at` has come, although it was further away when the request was queued: the clock may
    /// have been set forwards since. True where it is over.
    private mutating func expireIfOver(_ id: RequestID, _ now: Now) -> Bool {
        guard let expiresAt = open[id]?.request?.expiresAt, expiresAt <= now.wall else { return false }
        expire(id, now)
        return true
    }

    /// `expires_at` has come, or no call can be made before it.
    mutating func expire(_ id: RequestID, _ now: Now) {
        guard let entry = open[id], entry.stage == .calling || entry.stage == .waitingForOrder, entry.inFlight == 0,
            let expiresAt = entry.request?.expiresAt
        else { return }
        coalescer.remove(id)
        if entry.attempts == 0 && entry.succeeded == 0 && entry.failedHosts.isEmpty {
            end(id, .expired, failure: .expired(expiresAt), now)
            return
        }
        // Calls were made: what they came to is the result, with the hosts that are left as failed.
        open.update(id) { $0.unsettled = 0 }
        let failure = entry.failure ?? .expired(expiresAt)
        let settled = Set((entry.failedHosts.map(\.hostID) + entry.started).map(ExactText.init))
        if entry.succeeded == 0 {
            end(id, .failed, failure: failure, now)
        } else {
            let left = (entry.request?.hostIDs ?? []).filter { !settled.contains(ExactText($0)) }
            open.update(id) { entry in
                entry.failedHosts += left.map { .init(hostID: $0, failure: .expired(expiresAt)) }
            }
            end(id, .partiallySucceeded, failure: failure, now)
        }
    }
}
