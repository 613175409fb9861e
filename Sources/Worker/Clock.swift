internal import CLinux
package import Core
internal import Glibc

/// The two clocks: uptime since boot, which never jumps, and wall-clock time.
package enum Clock {
    package static var now: Now { Now(uptime: uptime, wall: wall) }
    package static var uptime: Uptime { Uptime(.nanoseconds(pstime_nanoseconds(CLOCK_MONOTONIC))) }
    package static var wall: Timestamp { Timestamp(milliseconds: pstime_nanoseconds(CLOCK_REALTIME) / 1_000_000) }
}
