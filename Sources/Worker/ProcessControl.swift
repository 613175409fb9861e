internal import CLinux
internal import Glibc

/// Controls the current process.
package enum ProcessControl {
    /// Exits at once, without any cleanup.
    package static func exitAtOnce(_ code: Int32) -> Never { _exit(code) }

    /// Raises the limit of open files as far as permitted, and returns the new limit.
    package static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        if limit.rlim_cur < limit.rlim_max {
            let before = limit.rlim_cur
            limit.rlim_cur = max(before, min(limit.rlim_max, 65_536))
            if unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { limit.rlim_cur = before }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Makes the kernel kill this process when its parent ends, so that a killed demo leaves no processes behind.
    package static func endWithParent() { psprctl_parent_death_signal(SIGKILL) }
}
