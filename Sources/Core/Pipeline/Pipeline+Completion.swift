/// Ends a request. Its result is published, and only after the acknowledgement is the
/// offset done and the key remembered.
extension Pipeline {
    mutating func end(
        _ id: RequestID, _ status: Status, failure: Failure?, fields: RequestFields? = nil, _ now: Now,
        original: StartResult.Original? = nil
    ) {
        guard let entry = open[id] else { return }
        let result = StartResult(
            status: status, fields: fields ?? entry.request?.fields ?? RequestFields(), position: entry.position,
            requestTimestamp: entry.timestamp, recordKey: entry.recordKey, completedAt: now.wall,
            attempts: entry.attempts,
            // A call that was throttled, or refused for its credential, did nothing for an expired request.
            call: status == .expired ? nil : entry.call,
            failedHosts: status == .partiallySucceeded ? entry.failedHosts : [], failure: failure, original: original,
            evidence: entry.isObserved ? "observed" : nil, scopedKey: entry.scopedKey,
            fingerprint: entry.request?.fingerprint,
            priority: entry.request?.priority, record: entry.identity)
        open.update(id) { $0.stage = .publishing(result) }
        outbox.send(id, now.uptime)
        publish(id, result)
        if configuration.mutations.has(.remembersBeforeTheAcknowledgement), let key = entry.scopedKey,
            open.ownsKey(id), let outcome = outcome(of: result)
        {
            partitions[entry.position.partition]?.ledger.remember(outcome, for: key)
        }
    }

    private mutating func publish(_ id: RequestID, _ result: StartResult) {
        effects.append(.publish(id, result, deadLetter(id, result)))
    }

    /// A request that failed only for want of quota is no dead letter.
    private func deadLetter(_ id: RequestID, _ result: StartResult) -> DeadLetter? {
        guard configuration.deadLetters.contains(result.status), result.failure?.category != .throttled else {
            return nil
        }
        return open[id]?.record.map { DeadLetter(record: $0, result: result) }
    }

    mutating func published(_ id: RequestID, _ now: Now) {
        guard let (entry, result, ownedKey) = open.complete(id) else { return }
        outbox.remove(id)
        effects.append(.log(.ended(result, took: now.uptime - entry.admittedAt)))
        done(entry.position)
        if configuration.keepsKeyOrder, let next = order.leave(id, entry, isOpen: { open[$0] != nil }),
            open[next]?.stage == .waitingForOrder
        {
            enqueue(next, now.uptime)
        }
        guard ownedKey, let key = entry.scopedKey else { return }
        let duplicates = entry.waitingDuplicates.filter { open[$0]?.stage == .waitingForKey }
        if let outcome = outcome(of: result) {
            partitions[entry.position.partition]?.ledger.remember(outcome, for: key)
            // Waiting duplicates get this outcome, even if the key is free again now.
            for duplicate in duplicates {
                let action = open[duplicate]?.request?.fingerprint
                // A request can be sent again before the worker knows that its result is written.
                let isRedrive = outcome.isRedriven(by: open[duplicate]?.redrive, action)
                if isRedrive || outcome.freesKey && action != outcome.fingerprint {
                    deduplicate(duplicate, now)
                } else {
                    repeated(duplicate, of: outcome, now)
                }
            }
        } else {
            for duplicate in duplicates { deduplicate(duplicate, now) }
        }
    }

    /// The outcome that claims the key. A repeat, or a request that was never called, claims nothing.
    private func outcome(of result: StartResult) -> Ledger.Outcome? {
        guard let fingerprint = result.fingerprint,
            [.succeeded, .partiallySucceeded, .failed].contains(result.status)
        else { return nil }
        return .init(
            status: result.status, offset: result.position.offset, fingerprint: fingerprint,
            completedAt: result.completedAt, failure: result.failure)
    }

    /// The result is kept and sent again, because no result is dropped for an error.
    mutating func publishFailed(_ id: RequestID, _ reason: String, _ isTooLarge: Bool, _ now: Now) {
        guard let entry = open[id], case .publishing(let result) = entry.stage else { return }
        if isTooLarge, let shorter = result.shorter {
            open.update(id) { $0.stage = .publishing(shorter) }
            publish(id, shorter)
            effects.append(.log(.publishFailed(entry.position, reason: reason)))
            return
        }
        outbox.retry(id, now.uptime)
        effects.append(.log(.publishFailed(entry.position, reason: reason)))
    }

    /// The record needs no further work.
    mutating func done(_ position: Position) {
        if configuration.mutations.has(.commitsTheHighestSeen), let next = partitions[position.partition]?.tracker.next
        {
            effects.append(.store(partition: position.partition, offset: next))
        }
        if configuration.mutations.has(.commitsPastTheEndAfterARestore),
            partitions[position.partition]?.ledger.holds(position.offset) ?? false
        {
            return effects.append(.store(partition: position.partition, offset: position.offset + 2))
        }
        guard let offset = partitions[position.partition]?.tracker.done(position.offset),
            !(partitions[position.partition]?.isStale ?? true)
        else { return }
        effects.append(.store(partition: position.partition, offset: offset))
    }

    mutating func tick(_ now: Now) {
        for id in outbox.takeDue(now.uptime) {
            if case .publishing(let result) = open[id]?.stage { publish(id, result) }
        }
        if now.uptime - lastLedgerExpiry >= .seconds(1) {
            lastLedgerExpiry = now.uptime
            let horizon = now.wall + (.zero - configuration.dedupeWindow)
            for number in partitions.keys { partitions[number]?.ledger.expire(before: horizon) }
        }
    }
}
