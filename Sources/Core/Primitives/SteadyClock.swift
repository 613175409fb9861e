/// A wall clock that adopts a step only after the step has lasted for ten minutes, or for as long as the time before
/// the step if that is shorter. So a clock that is corrected soon after the start is trusted soon. With a wrong clock,
/// keys would be forgotten and requests would expire; neither can be undone.
package struct SteadyClock: Sendable {
    package static let patience: Duration = .seconds(600)
    /// A smaller difference is not a step.
    static let tolerance: Duration = .seconds(5)

    /// The wall clock's time since 1970 minus the time since boot.
    private var offset: Duration?
    /// Since when the offset has held.
    private var since: Uptime = .zero
    /// A step that is not adopted yet.
    private var step: (to: Duration, at: Uptime)?

    package init() {}

    /// `seen` is the reading of the system's clocks.
    package mutating func now(_ seen: Now) -> Now {
        let seenOffset = Duration.milliseconds(seen.wall.milliseconds) - seen.uptime.sinceBoot
        if let offset, Self.differ(seenOffset, offset) {
            var step = step ?? (seenOffset, seen.uptime)
            if Self.differ(seenOffset, step.to) { step = (seenOffset, seen.uptime) }
            self.step = step
            if seen.uptime - step.at < min(Self.patience, step.at - since) {
                return Now(uptime: seen.uptime, wall: Timestamp(milliseconds: 0) + (offset + seen.uptime.sinceBoot))
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
