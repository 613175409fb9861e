internal import CLinux
internal import Glibc

/// This process.
package enum Process {
    /// Ends without a farewell to anyone.
    package static func exitAtOnce(_ code: Int32) -> Never { _exit(code) }

    /// Has the kernel end this process when its parent ends, so that a killed demo leaves nothing behind.
    package static func endWithParent() { psprctl_parent_death_signal(SIGKILL) }
}
