/// Calls of one API that may be made now, such that no sliding window *at the server* holds more of them than the limit,
/// whichever worker of the group makes them: one at a time does (`Event.leased`), and the next one knows of its calls.
///
/// Each call of the limit is a slot. A slot is taken by one call at a time, and is free again one window after that call's
/// *answer*: the server counted it no later than that, whatever the network did. So two calls of one slot are at least a
/// window apart, and no window holds more than there are slots.
package struct Quota: Equatable, Sendable {
    private struct Slot: Equatable, Sendable {
        var freeAt: Duration = .zero
        var isTaken = false
    }

    /// A slot is looked at on each decision, so their number is bounded.
    package static let mostCalls = 1000
    /// What two workers' clocks may differ by.
    static let clockTolerance: Duration = .seconds(1)

    /// The operator's word: never exceeded. Nil is no limit.
    private let configured: RateLimit?
    /// What is kept to: the server may name a lower limit, and a higher one again later.
    package private(set) var limit: RateLimit?
    private var slots: [Slot]
    /// The longest time from sending a call to the server's having it.
    private let transit: Duration
    /// Until when nothing goes at all, by uptime: a server's refusal, or calls of a previous caller that are not known.
    package private(set) var heldUntil: Duration = .zero

    package init(_ limit: RateLimit?, transit: Duration = .seconds(5)) {
        configured = limit
        self.limit = limit
        self.transit = transit
        slots = Array(repeating: Slot(), count: limit?.calls ?? 0)
    }

    // MARK: Calls

    /// Whether a call may go now.
    package func isFree(_ now: Now) -> Bool {
        guard limit != nil else { return true }
        return slots.indices.contains { nextUse($0, now) == now.uptime }
    }

    /// When the next call may go, as far as is known, as uptime: nil while that waits for an answer.
    package func nextFree(_ now: Now) -> Duration? {
        guard limit != nil else { return now.uptime }
        return slots.indices.lazy.compactMap { nextUse($0, now) }.min()
    }

    /// No call can go before this, whatever is answered: a slot that is taken is free a window after its answer.
    package func earliestPossible(_ now: Now) -> Duration {
        guard let limit else { return now.uptime }
        let taken = slots.contains(where: \.isTaken) ? now.uptime + limit.window : nil
        return [nextFree(now), taken].compactMap { $0 }.min() ?? now.uptime
    }

    /// A call goes; the slot that it takes, nil where there is no limit.
    package mutating func sent(_ now: Now) -> Int? {
        guard let slot = slots.indices.first(where: { nextUse($0, now) == now.uptime }) else { return nil }
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
        return max(now.uptime, slots[slot].freeAt)
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
        let window = max(before.window, next.window)
        let busy = slots.map { $0.isTaken ? now.uptime + window : $0.freeAt + window - before.window }.sorted(by: >)
        for slot in 0..<next.calls { slots[slot].freeAt = max(slots[slot].freeAt, busy[slot]) }
    }

    /// Nothing goes before this time.
    package mutating func hold(until: Duration) {
        heldUntil = max(heldUntil, until)
        for slot in slots.indices { slots[slot].freeAt = max(slots[slot].freeAt, until) }
    }

    // MARK: Another worker called before

    /// Takes over from the previous caller.
    package mutating func takeOver(
        _ previous: PreviousOwner, busyUntil: KeyPath<Handover, [Timestamp]>, _ now: Now
    ) {
        guard let limit else { return }
        // No text and no clock can hold a slot for longer than a call that is sent now.
        let longest = now.uptime + transit + limit.window + Self.clockTolerance
        let busy: [Duration]
        switch previous {
        case .none: return
        case .handedOver(let handover): busy = handover[keyPath: busyUntil].map { uptime($0, now) }
        case .unknown(let idleSince):
            // Every slot counts as spent. The previous owner may have sent a call until now, which the server has a transit
            // later; where each record has its result, none was made after the last of them. Results do not tell more: they
            // can be made long after their call was answered and its slot used again.
            let until = (idleSince.map { uptime($0, now) } ?? now.uptime + transit) + limit.window
            hold(until: min(until, longest))
            heldUntil = max(heldUntil, slots.map(\.freeAt).min() ?? .zero)
            return
        }
        // Latest with latest: a slot that is known to be in use for one of them is not held for it once more.
        let order = slots.indices.sorted { slots[$0].freeAt > slots[$1].freeAt }
        for (slot, time) in zip(order, busy.sorted(by: >)) {
            slots[slot].freeAt = max(slots[slot].freeAt, min(time, longest))
        }
    }

    /// Until when the slots are in use: what the next caller has to know.
    package func handOver(_ now: Now) -> [Timestamp] {
        slots.compactMap { slot in
            let until = slot.isTaken ? now.uptime + (limit?.window ?? .zero) + transit : slot.freeAt
            return until > now.uptime ? now.wall + (until - now.uptime) : nil
        }
    }

    /// Another process's time by this one's clock: later by what the two may differ.
    private func uptime(_ time: Timestamp, _ now: Now) -> Duration {
        now.uptime + (time - now.wall) + Self.clockTolerance
    }
}
