/// Whether calls may be made on the credential. More than five wrong signatures in a row lock the key for five minutes
/// at the gateway, so one call at a time proves a credential before others follow, the first refusal closes the gate,
/// and probes keep to three in any five minutes.
package struct AuthGate: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// One call may go, to see whether the credential is taken.
        case unproven
        /// That call is on its way.
        case probing
        case open
        /// Refused; the next probe goes at this time.
        case closed(until: Duration)
    }

    package private(set) var state: State = .unproven
    private var refusals: [Duration] = []
    private var inARow = 0

    /// Not more refusals than this in `window`.
    static let maximumRefusals = 3
    static let window: Duration = .seconds(300)

    package init() {}

    /// Whether a call may go now.
    package func allows(now: Duration) -> Bool {
        switch state {
        case .open, .unproven: true
        case .probing: false
        case .closed(let until): now >= until
        }
    }

    /// Calls that may be on their way at once, so that a credential that turns bad meanwhile is refused no more often than
    /// it may be.
    package func room(now: Duration) -> Int {
        max(1, Self.maximumRefusals - refusals.count { $0 > now - Self.window })
    }

    /// When the gate asks to be looked at again.
    package var deadline: Duration? {
        if case .closed(let until) = state { until } else { nil }
    }

    package mutating func sent() {
        if state != .open { state = .probing }
    }

    /// Any answer but a refusal of the credential. True where that opened the gate.
    package mutating func accepted() -> Bool {
        inARow = 0
        guard state != .open else { return false }
        state = .open
        return true
    }

    /// The call told nothing of the credential (no connection, say).
    package mutating func inconclusive() {
        if state == .probing { state = .unproven }
    }

    /// A refusal of the credential. True where the gate was not closed before.
    package mutating func refused(now: Duration) -> Bool {
        refusals = refusals.filter { $0 > now - Self.window } + [now]
        inARow += 1
        let wasClosed = if case .closed = state { true } else { false }
        let pause: Duration = min(.seconds(20 << min(inARow - 1, 3)), .seconds(110))
        state = .closed(until: earliestProbe(after: pause, now: now))
        return !wasClosed
    }

    /// The credential changed: try it at once, as far as the bound on refusals allows.
    package mutating func renewed(now: Duration) {
        guard state != .open else { return }
        let earliest = earliestProbe(after: .zero, now: now)
        state = earliest <= now ? .unproven : .closed(until: earliest)
    }

    private func earliestProbe(after pause: Duration, now: Duration) -> Duration {
        let recent = refusals.filter { $0 > now - Self.window }
        guard recent.count >= Self.maximumRefusals else { return now + pause }
        return max(now + pause, recent[recent.count - Self.maximumRefusals] + Self.window + .seconds(1))
    }
}
