internal import CLinux
internal import Glibc

/// SIGTERM, SIGINT and SIGHUP as a readable descriptor. They must be blocked before any library starts a thread.
package struct Signals: ~Copyable {
    package let descriptor: Int32

    package init() {
        var set = Self.blocked()
        descriptor = unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK) | Int32(SFD_CLOEXEC))
    }

    deinit { close(descriptor) }

    /// Blocks these signals for this thread and every thread it later starts. Ignores SIGPIPE, because a closed socket
    /// is an error and must not end the process.
    package static func block() { _ = blocked() }

    private static func blocked() -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        unsafe sigaddset(&set, SIGHUP)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        _ = signal(SIGPIPE, SIG_IGN)
        return set
    }

    /// Lets these signals end the process again, for a command that only computes.
    package static func unblock() {
        var set = blocked()
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    package static func isHangUp(_ number: Int32) -> Bool { number == SIGHUP }

    /// The next pending signal, or nil.
    package func next() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        return unsafe read(descriptor, &info, size) == size ? Int32(info.ssi_signo) : nil
    }

    /// Waits for one of these signals, for a command that only serves.
    package static func wait() -> Int32 {
        var set = blocked()
        var number: Int32 = 0
        unsafe _ = sigwait(&set, &number)
        return number
    }
}
