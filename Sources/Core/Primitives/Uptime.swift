/// A point in time on the monotonic clock, since boot. Spans are `Duration`.
///
/// Two points cannot be added, and a point is no span, so the compiler finds such a mistake.
package struct Uptime: InstantProtocol, CustomStringConvertible, Sendable {
    package var sinceBoot: Duration

    package init(_ sinceBoot: Duration) { self.sinceBoot = sinceBoot }

    /// The boot: a time that is always over. It stands for "never yet" and for "at once".
    package static let zero = Self(.zero)

    package var description: String { sinceBoot.description }

    package func advanced(by span: Duration) -> Self { Self(sinceBoot + span) }
    package func duration(to other: Self) -> Duration { other.sinceBoot - sinceBoot }

    package static func < (a: Self, b: Self) -> Bool { a.sinceBoot < b.sinceBoot }
    package static func + (a: Self, b: Duration) -> Self { a.advanced(by: b) }
    package static func - (a: Self, b: Duration) -> Self { Self(a.sinceBoot - b) }
    package static func - (a: Self, b: Self) -> Duration { b.duration(to: a) }
}
