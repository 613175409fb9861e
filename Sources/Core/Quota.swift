/// Calls left in the window, as the server sees it. A call holds its slot while it is in flight and for one window after
/// its *answer*: the server counted it no later than that, whatever the network did, so no sliding window at the
/// server can hold more calls than the limit.
package struct Quota: Equatable, Sendable {
    /// Nil is no limit.
    package private(set) var limit: RateLimit?
    private var inFlight = 0
    /// When the slots of answered calls are free again; ascending but for changes of the window.
    private var busyUntil: [Duration] = []

    package init(_ limit: RateLimit?) { self.limit = limit }

    /// Whether a call may go now.
    package mutating func isFree(now: Duration) -> Bool {
        guard let limit else { return true }
        busyUntil.removeAll { $0 <= now }
        return inFlight + busyUntil.count < limit.calls
    }

    /// When the next call may go, as far as is known: nil while that waits for an answer.
    package func nextFree(now: Duration) -> Duration? {
        guard let limit else { return now }
        let busy = busyUntil.filter { $0 > now }.sorted()
        let excess = inFlight + busy.count - limit.calls
        if excess < 0 { return now }
        return excess < busy.count ? busy[excess] : nil
    }

    package mutating func sent() { if limit != nil { inFlight += 1 } }

    package mutating func answered(now: Duration) {
        guard let limit else { return }
        inFlight -= 1
        busyUntil.append(now + limit.window)
    }

    /// A call that was answered so long ago, by whomever.
    package mutating func count(ago: Duration, now: Duration) {
        guard let limit, ago < limit.window else { return }
        busyUntil.append(now + limit.window - max(.zero, ago))
    }

    /// A refusal for too many calls: nothing goes for a full window (or as long as the server says), and a limit that
    /// the server names counts from now on where it is the stricter one.
    package mutating func throttled(now: Duration, retryAfter: Duration?, named: RateLimit?) {
        if let named, named.calls > 0, named.window > .zero { learn(named) }
        guard let limit else {
            // Without a limit of our own the server's word is all there is.
            self.limit = named ?? RateLimit(calls: 5, window: .seconds(60))
            throttled(now: now, retryAfter: retryAfter, named: nil)
            return
        }
        let until = now + (retryAfter ?? limit.window)
        busyUntil = Array(repeating: until, count: max(0, limit.calls - inFlight))
    }

    private mutating func learn(_ named: RateLimit) {
        guard let limit else { return }
        let isStricter =
            Double(named.calls) / named.window.seconds < Double(limit.calls) / limit.window.seconds
        if isStricter { self.limit = named }
    }
}
