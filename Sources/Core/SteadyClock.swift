/// A wall clock that takes over a step only once it has lasted for ten minutes, or for as long as the time before it: a clock
/// that is put right soon after the start is believed soon. By a wrong clock keys would be forgotten and requests expire, neither
/// of which can be undone.
package struct SteadyClock: Equatable, Sendable {
    package static let patience: Duration = .seconds(600)
    /// Less than this is no step.
    static let tolerance: Duration = .seconds(5)

    /// Wall clock minus uptime.
    private var offset: Duration?
    /// Since when, by uptime.
    private var since: Duration = .zero
    private var steppedAt: Duration?

    package init() {}

    /// `seen`: what the system's clocks say.
    package mutating func now(_ seen: Now) -> Now {
        let seenOffset = Duration.milliseconds(seen.wall.milliseconds) - seen.uptime
        if let offset, abs((seenOffset - offset).milliseconds) > Self.tolerance.milliseconds {
            let stepped = steppedAt ?? seen.uptime
            steppedAt = stepped
            if seen.uptime - stepped < min(Self.patience, stepped - since) {
                return Now(uptime: seen.uptime, wall: Timestamp(milliseconds: 0) + (offset + seen.uptime))
            }
            since = stepped
        }
        if offset == nil { since = seen.uptime }
        (offset, steppedAt) = (seenOffset, nil)
        return seen
    }
}
