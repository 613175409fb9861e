package import Core
internal import Glibc

/// The two clocks: the one that never jumps (since boot), and the one that people read.
package enum Clock {
    package static var now: Now { Now(uptime: uptime, wall: wall) }

    package static var uptime: Duration {
        let time = read(CLOCK_MONOTONIC)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    package static var wall: Timestamp {
        let time = read(CLOCK_REALTIME)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        unsafe _ = clock_gettime(clock, &time)
        return time
    }
}
