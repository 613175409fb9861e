internal import CLinux
package import Core
internal import Glibc

/// The two clocks: the one that never jumps (since boot), and the one that people read.
package enum Clock {
    package static var now: Now { Now(uptime: uptime, wall: wall) }
    package static var uptime: Duration { .nanoseconds(pstime_nanoseconds(CLOCK_MONOTONIC)) }
    package static var wall: Timestamp { Timestamp(milliseconds: pstime_nanoseconds(CLOCK_REALTIME) / 1_000_000) }
}
