/// A wall clock that takes over a step only once it has lasted for ten minutes, or for as long as the time before it: a clock
/// that is put right soon after the start is believed soon. By a wrong clock keys would be forgotten and requests expire, neither
/// of which can be undone.
package struct SteadyClock: Sendable {
    package static let patience: Duration = .seconds(600)
    /// Less than this is no step.
    static let tolerance: Duration = .seconds(5)

    /// Wall clock minus uptime.
    private var offset: Duration?
    /// Since when, by uptime.
    private var since: Duration = .zero
    /// The step that is not believed yet.
    private var step: (to: Duration, at: Duration)?

    package init() {}

    /// `seen`: what the system's clocks say.
    package mutating func now(_ seen: Now) -> Now {
        let seenOffset = Duration.milliseconds(seen.wall.milliseconds) - seen.uptime
        if let offset, Self.differ(seenOffset, offset) {
            var step = step ?? (seenOffset, seen.uptime)
            if Self.differ(seenOffset, step.to) { step = (seenOffset, seen.uptime) }
            self.step = step
            if seen.uptime - step.at < min(Self.patience, step.at - since) {
                return Now(uptime: seen.uptime, wall: Timestamp(milliseconds: 0) + (offset + seen.uptime))
            }
            since = step.at
        } else if offset == nil {
            since = seen.uptime
        }
        (offset, step) = (seenOffset, nil)
        return seen
    }

    private static func differ(_ one: Duration, _ other: Duration) -> Bool {
        abs((one - other).milliseconds) > tolerance.milliseconds
    }
}
