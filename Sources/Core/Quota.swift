/// Calls of one API that may be made now, such that no sliding window *at the server* holds more of them than the limit,
/// whoever of the group's members makes them.
///
/// Each call of the limit is a slot. A slot is taken by one call at a time, and is free again one window after that call's
/// *answer*: the server counted it no later than that, whatever the network did. So two calls of one slot are at least a
/// window apart, and no window holds more than there are slots.
///
/// Members share the slots without talking: `QuotaShares` says who may use which, and when.
package struct Quota: Equatable, Sendable {
    private struct Slot: Equatable, Sendable {
        var freeAt: Duration = .zero
        var isTaken = false
    }

    /// A slot is looked at on each decision, so their number is bounded.
    package static let mostCalls = 1000

    /// The operator's word: never exceeded. Nil is no limit.
    private let configured: RateLimit?
    /// What is kept to: the server may name a lower limit, and a higher one again later.
    package private(set) var limit: RateLimit?
    private var slots: [Slot]
    private var shares: QuotaShares

    /// `partitions`: of the requests topic, whose owners share the limit; 0 where nobody else calls. `transit`: the longest
    /// time from sending a call to the server's having it.
    package init(_ limit: RateLimit?, partitions: Int = 0, transit: Duration = .seconds(5)) {
        configured = limit
        self.limit = limit
        slots = Array(repeating: Slot(), count: limit?.calls ?? 0)
        shares = QuotaShares(
            slots: limit?.calls ?? 0, partitions: limit == nil ? 0 : partitions, window: limit?.window ?? .zero,
            transit: transit)
    }

    // MARK: Calls

    /// Whether a call may go now.
    package func isFree(_ now: Now) -> Bool {
        guard limit != nil else { return true }
        return slots.indices.contains { nextUse($0, now) == now.uptime }
    }

    /// When the next call may go, as far as is known, as uptime: nil while that waits for an answer or for partitions.
    package func nextFree(_ now: Now) -> Duration? {
        guard limit != nil else { return now.uptime }
        return slots.indices.lazy.compactMap { nextUse($0, now) }.min()
    }

    /// No call can go before this, whatever is answered: a slot that is taken is free a window after its answer. Now, where
    /// partitions that come could bring a slot sooner.
    package func earliestPossible(_ now: Now) -> Duration {
        guard let limit, shares.ownsAll else { return now.uptime }
        let taken = slots.contains(where: \.isTaken) ? now.uptime + limit.window : nil
        return [nextFree(now), taken].compactMap { $0 }.min() ?? now.uptime
    }

    /// A call goes; the slot that it takes, nil where there is no limit.
    package mutating func sent(_ now: Now) -> Int? {
        let free = slots.indices.filter { nextUse($0, now) == now.uptime }
        // A turn passes whether it is used or not; a slot that is all ours stays.
        guard let slot = free.first(where: { !shares.isWhole($0) }) ?? free.first else { return nil }
        slots[slot].isTaken = true
        return slot
    }

    /// The call that took the slot was answered, or given up for good.
    package mutating func answered(_ slot: Int?, _ now: Now) {
        guard let limit, let slot, slots.indices.contains(slot) else { return }
        slots[slot].isTaken = false
        slots[slot].freeAt = max(slots[slot].freeAt, now.uptime + limit.window)
    }

    /// The call that took the slot never reached the server, which did not count it.
    package mutating func unused(_ slot: Int?) {
        if let slot, slots.indices.contains(slot) { slots[slot].isTaken = false }
    }

    private func nextUse(_ slot: Int, _ now: Now) -> Duration? {
        guard let limit, slot < limit.calls, !slots[slot].isTaken else { return nil }
        return shares.nextTurn(slot, from: max(now.uptime, slots[slot].freeAt), now)
    }

    // MARK: What the server says

    /// A refusal for too many calls: nothing goes for a full window, or for as long as the server says.
    package mutating func throttled(_ now: Now, retryAfter: Duration?, named: RateLimit?) {
        if let named { learn(named, now) }
        if limit == nil {
            // Without a limit of the operator's the server's word is all there is.
            let taken = named ?? RateLimit(calls: 5, window: .seconds(60))
            limit = RateLimit(calls: min(taken.calls, Self.mostCalls), window: taken.window)
            slots = Array(repeating: Slot(), count: limit?.calls ?? 0)
        }
        hold(until: now.uptime + (retryAfter ?? limit?.window ?? .zero))
    }

    /// The server names a limit: what is stricter than the operator's counts, until it names a wider one.
    package mutating func learn(_ named: RateLimit, _ now: Now) {
        guard let configured, let before = limit, named.calls > 0, named.window > .zero else { return }
        let isStricter =
            Double(named.calls) * configured.window.seconds < Double(configured.calls) * named.window.seconds
        let next = isStricter ? RateLimit(calls: min(named.calls, configured.calls), window: named.window) : configured
        guard next != before else { return }
        limit = next
        shares.cut(slots: next.calls, window: next.window)
        let window = max(before.window, next.window)
        // Others may not know yet, and shared by the old limit.
        if !shares.ownsAll { return hold(until: now.uptime + window) }
        let busy = slots.map { $0.isTaken ? now.uptime + window : $0.freeAt + window - before.window }.sorted(by: >)
        for slot in 0..<next.calls { slots[slot].freeAt = max(slots[slot].freeAt, busy[slot]) }
    }

    /// Nothing goes before this time.
    package mutating func hold(until: Duration) {
        for slot in slots.indices { slots[slot].freeAt = max(slots[slot].freeAt, until) }
    }

    // MARK: Partitions come and go

    /// These partitions' shares are ours from now on.
    package mutating func claim(_ claims: [Int32: Claim], busyUntil: KeyPath<Handover, Timestamp>, _ now: Now) {
        shares.claim(claims.keys)
        guard let limit else { return }
        let idle = claims.values.compactMap { if case .unknown(let since) = $0 { since } else { nil } }
        if shares.areAll(claims.count), idle.count == claims.count, let last = idle.max() {
            // Whoever takes over all partitions has read all results: as each record has one, no call was made after the last.
            return hold(until: uptime(last, now) + limit.window)
        }
        for (partition, claim) in claims {
            let until: Duration
            switch claim {
            case .fresh: continue
            case .handedOver(let handover): until = uptime(handover[keyPath: busyUntil], now)
            case .unknown:
                // Its last owner may have sent a call until now, which the server has a transit later; so much again for a
                // member that learns late that it is none.
                until = now.uptime + limit.window + shares.transit * 2
            }
            for slot in slots.indices where shares.slots(of: partition).contains(slot) {
                slots[slot].freeAt = max(slots[slot].freeAt, until)
            }
        }
    }

    /// Until when the slots are busy that a partition has a share in: what its next owner has to know.
    package func handOver(_ partition: Int32, _ now: Now) -> Timestamp {
        let busy = shares.slots(of: partition).filter(slots.indices.contains).map { slot in
            slots[slot].isTaken ? now.uptime + (limit?.window ?? .zero) + shares.transit : slots[slot].freeAt
        }
        return now.wall + max(.zero, (busy.max() ?? .zero) - now.uptime)
    }

    /// The partition's share is ours no more.
    package mutating func release(_ partition: Int32) { shares.release(partition) }

    /// Calls that others made, by when they were answered: each holds a slot for a window after that.
    package mutating func count(_ answered: [Timestamp], _ now: Now) {
        guard let limit else { return }
        // Latest with latest: a slot that is known to be busy for one of them is not held for it once more.
        let order = slots.indices.sorted { slots[$0].freeAt > slots[$1].freeAt }
        for (slot, time) in zip(order, answered.sorted(by: >)) {
            slots[slot].freeAt = max(slots[slot].freeAt, uptime(time, now) + limit.window)
        }
    }

    /// Another process's time by this one's clock: later by what the two may differ.
    private func uptime(_ time: Timestamp, _ now: Now) -> Duration {
        now.uptime + (time - now.wall) + QuotaShares.clocks
    }
}
