/// A request ends: its result goes out, is acknowledged, and only then is the offset done and the key remembered.
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
            // A call that was throttled or refused for its credential did nothing for it.
            call: status == .expired ? nil : entry.call,
            failedHosts: status == .partiallySucceeded ? entry.failedHosts : [], failure: failure, original: original,
            evidence: entry.isObserved ? "observed" : nil, scopedKey: entry.scopedKey, fingerprint: entry.fingerprint,
            priority: entry.request?.priority, record: entry.identity)
        open[id]?.stage = .publishing(result)
        unwritten.append((id, now.uptime))
        effects.append(.publish(id, result))
        #if MUTATIONS
            if configuration.mutation == .remembersBeforeTheAcknowledgement, let key = entry.scopedKey,
                partitions[entry.position.partition]?.holders[key] == id, let outcome = outcome(of: result)
            {
                partitions[entry.position.partition]?.ledger.remember(outcome, for: key)
            }
        #endif
    }

    mutating func published(_ id: RequestID, _ now: Now) {
        guard let entry = open.removeValue(forKey: id), case .publishing(let result) = entry.stage else { return }
        intake.remove(entry.size)
        partitions[entry.position.partition]?.requests.remove(id)
        effects.append(.log(.ended(result, took: now.uptime - entry.admittedAt)))
        done(entry.position)
        advanceChain(of: entry, id, now)
        guard let key = entry.scopedKey, partitions[entry.position.partition]?.holders[key] == id else { return }
        partitions[entry.position.partition]?.holders[key] = nil
        if let outcome = outcome(of: result) {
            partitions[entry.position.partition]?.ledger.remember(outcome, for: key)
            // Who waited for this end gets it, even where a new try would be free to whoever comes now.
            for follower in entry.followers where open[follower]?.stage == .parked {
                if outcome.freesKey && open[follower]?.fingerprint != outcome.fingerprint {
                    judge(follower, now)
                } else {
                    repeated(follower, of: outcome, now)
                }
            }
        } else {
            for follower in entry.followers where open[follower]?.stage == .parked { judge(follower, now) }
        }
    }

    /// What claims the key; a request that was never a first time, or never called, claims nothing.
    private func outcome(of result: StartResult) -> Ledger.Outcome? {
        guard let fingerprint = result.fingerprint,
            [.succeeded, .partiallySucceeded, .failed].contains(result.status)
        else { return nil }
        return .init(
            status: result.status, offset: result.position.offset, fingerprint: fingerprint,
            completedAt: result.completedAt, failure: result.failure)
    }

    /// The result stays here and goes out again: nothing is dropped because of an error.
    mutating func publishFailed(_ id: RequestID, _ reason: String, _ isTooLarge: Bool, _ now: Now) {
        guard let entry = open[id], case .publishing(let result) = entry.stage else { return }
        if isTooLarge, let shorter = result.shorter {
            open[id]?.stage = .publishing(shorter)
            effects.append(.publish(id, shorter))
            effects.append(.log(.publishFailed(entry.position, reason: reason)))
            return
        }
        republish.append((now.uptime + .seconds(1), id))
        effects.append(.log(.publishFailed(entry.position, reason: reason)))
    }

    /// The record needs nothing more.
    mutating func done(_ position: Position) {
        #if MUTATIONS
            if configuration.mutation == .commitsTheHighestSeen, let tracker = partitions[position.partition]?.tracker {
                effects.append(.store(partition: position.partition, offset: tracker.next))
            }
            if configuration.mutation == .commitsPastTheEndAfterARestore,
                partitions[position.partition]?.ledger.holds(position.offset) ?? false
            {
                effects.append(.store(partition: position.partition, offset: position.offset + 2))
                return
            }
        #endif
        guard let offset = partitions[position.partition]?.tracker.done(position.offset),
            !(partitions[position.partition]?.isStale ?? true)
        else { return }
        effects.append(.store(partition: position.partition, offset: offset))
    }

    /// The next record with the same Kafka key may be called.
    private mutating func advanceChain(of entry: OpenRequest, _ id: RequestID, _ now: Now) {
        guard configuration.keepsKeyOrder, let key = entry.recordKey else { return }
        let chain = Chain(partition: entry.position.partition, key: key)
        guard chains[chain] != nil else { return }
        while let first = chains[chain]?.first, first == id || open[first] == nil { chains[chain]?.popFirst() }
        if let next = chains[chain]?.first {
            if open[next]?.stage == .chained { enqueue(next, now.uptime) }
        } else {
            chains[chain] = nil
        }
    }

    mutating func tick(_ now: Now) {
        let due = republish.filter { $0.at <= now.uptime }
        republish.removeAll { $0.at <= now.uptime }
        for (_, id) in due {
            if case .publishing(let result) = open[id]?.stage { effects.append(.publish(id, result)) }
        }
        if now.uptime - lastLedgerExpiry >= .seconds(1) {
            lastLedgerExpiry = now.uptime
            let horizon = now.wall + (.zero - configuration.dedupeWindow)
            for number in partitions.keys { partitions[number]?.ledger.expire(before: horizon) }
        }
    }
}
