/// Limits the calls of one API, so that no sliding window *at the server* holds more calls than the limit,
/// whichever worker of the group makes them. Only one worker calls at a time (`Event.leased`), and the next
/// one takes its calls into account.
///
/// Each call of the limit is a slot. A slot is occupied by one call at a time. It is free again one window after that
/// call's *answer*, because the server counted the call no later than that, whatever the network did. So two calls of
/// one slot are at least a window apart, and no window holds more calls than there are slots.
package struct Quota: Equatable, Sendable {
    private struct Slot: Equatable, Sendable {
        var freeAt: Uptime = .zero
        var isTaken = false
    }

    /// Every decision checks each slot, so the number of slots is bounded.
    package static let mostCalls = 1000
    /// The maximum difference between two workers' clocks.
    static let clockTolerance: Duration = .seconds(1)

    /// The operator's limit, which is never exceeded. Nil is no limit.
    private let configured: RateLimit?
    /// The limit that applies now. The server may name a lower limit, and later a higher one again.
    package private(set) var limit: RateLimit?
    private var slots: [Slot]
    /// The longest time until the server has received a call that was sent.
    private let transit: Duration
    /// Until when no call may go at all, because of a server's refusal or of unknown calls by a previous caller.
    package private(set) var heldUntil: Uptime = .zero

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

    /// When the next call may go, as far as is known; nil where it must wait for an answer.
    package func nextFree(_ now: Now) -> Uptime? {
        guard limit != nil else { return now.uptime }
        return slots.indices.lazy.compactMap { nextUse($0, now) }.min()
    }

    /// How many slots will not be free at this time, as far as is known.
    func used(at time: Uptime) -> Int {
        guard let limit else { return 0 }
        return slots.prefix(limit.calls).count { $0.isTaken || $0.freeAt > time }
    }

    /// When the next slot becomes free after this time; nil where none is known to.
    func nextFreeing(after time: Uptime) -> Uptime? {
        guard let limit else { return nil }
        return slots.prefix(limit.calls).lazy.filter { !$0.isTaken && $0.freeAt > time }.map(\.freeAt).min()
    }

    /// No call can go before this time, whatever is answered. An occupied slot is free one window after its answer.
    package func earliestPossible(_ now: Now) -> Uptime {
        guard let limit else { return now.uptime }
        let taken = slots.contains(where: \.isTaken) ? now.uptime + limit.window : nil
        return [nextFree(now), taken].compactMap { $0 }.min() ?? now.uptime
    }

    /// A call is sent. Returns the slot that it occupies; nil where there is no limit.
    package mutating func sent(_ now: Now) -> Int? {
        guard let slot = slots.indices.first(where: { nextUse($0, now) == now.uptime }) else { return nil }
        slots[slot].isTaken = true
        return slot
    }

    /// The call that occupies the slot was answered, or finally abandoned.
    package mutating func answered(_ slot: Int?, _ now: Now) {
        guard let limit, let slot, slots.indices.contains(slot) else { return }
        slots[slot].isTaken = false
        slots[slot].freeAt = max(slots[slot].freeAt, now.uptime + limit.window)
    }

    /// The call that occupies the slot never reached the server, which did not count it.
    package mutating func unused(_ slot: Int?) {
        if let slot, slots.indices.contains(slot) { slots[slot].isTaken = false }
    }

    private func nextUse(_ slot: Int, _ now: Now) -> Uptime? {
        guard let limit, slot < limit.calls, !slots[slot].isTaken else { return nil }
        return max(now.uptime, slots[slot].freeAt)
    }

    // MARK: Limits named by the server

    /// The server refused a call because there were too many. No call may go for a full window, or for
    /// the time that the server gives.
    package mutating func throttled(_ now: Now, retryAfter: Duration?, named: RateLimit?) {
        if let named { learn(named, now) }
        if limit == nil {
            // Where the operator set no limit, only the server's limit is known.
            let taken = named ?? RateLimit(calls: 5, window: .seconds(60))
            limit = RateLimit(calls: min(taken.calls, Self.mostCalls), window: taken.window)
            slots = Array(repeating: Slot(), count: limit?.calls ?? 0)
        }
        hold(until: now.uptime + (retryAfter ?? limit?.window ?? .zero))
    }

    /// The server names a limit. A limit that is stricter than the operator's applies
    /// until the server names a wider one.
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

    /// No call may go before this time.
    package mutating func hold(until: Uptime) {
        heldUntil = max(heldUntil, until)
        for slot in slots.indices { slots[slot].freeAt = max(slots[slot].freeAt, until) }
    }

    // MARK: Calls of a previous caller

    /// Takes over from the previous caller.
    package mutating func takeOver(
        _ previous: PreviousOwner, busyUntil: KeyPath<Handover, [Timestamp]>, _ now: Now
    ) {
        guard let limit else { return }
        // Neither a handover nor a clock may block a slot for longer than a call that is sent now.
        let longest = now.uptime + transit + limit.window + Self.clockTolerance
        let busy: [Uptime]
        switch previous {
        case .none: return
        case .handedOver(let handover): busy = handover[keyPath: busyUntil].map { uptime($0, now) }
        case .unknown(let idleSince):
            // Every slot counts as used. The previous owner may have sent a call until now, and the server may
            // receive it one transit time later. Where each record has its result, no call was sent after the
            // last result. Results show no more than this, because a result can be made long after its call
            // was answered and the slot reused.
            let until = (idleSince.map { uptime($0, now) } ?? now.uptime + transit) + limit.window
            hold(until: min(until, longest))
            heldUntil = max(heldUntil, slots.map(\.freeAt).min() ?? .zero)
            return
        }
        // Pairs the latest times of both sides, so that a slot already known to be in use for a
        // call is not blocked for it twice.
        let order = slots.indices.sorted { slots[$0].freeAt > slots[$1].freeAt }
        for (slot, time) in zip(order, busy.sorted(by: >)) {
            slots[slot].freeAt = max(slots[slot].freeAt, min(time, longest))
        }
    }

    /// Until when each slot is in use. This is handed over to the next caller.
    package func handOver(_ now: Now) -> [Timestamp] {
        slots.compactMap { slot in
            let until = slot.isTaken ? now.uptime + (limit?.window ?? .zero) + transit : slot.freeAt
            return until > now.uptime ? now.wall + (until - now.uptime) : nil
        }
    }

    /// Converts another process's time to this clock, and adds the maximum difference between the clocks.
    private func uptime(_ time: Timestamp, _ now: Now) -> Uptime {
        now.uptime + (time - now.wall) + Self.clockTolerance
    }
}
