internal import CLinux
internal import Core
internal import Glibc

/// The only place where the loop waits: an epoll over a few descriptors, each with a number that the loop chooses.
struct Poller: ~Copyable {
    private let descriptor: Int32

    init() { descriptor = epoll_create1(Int32(EPOLL_CLOEXEC)) }

    deinit { close(descriptor) }

    func add(_ watched: Int32, as number: Int32) {
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue
        unsafe event.data.fd = number
        unsafe _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, watched, &event)
    }

    func remove(_ watched: Int32) {
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, watched, nil)
    }

    /// Waits until a descriptor is readable or the time is over. `ready` receives the numbers of the readable ones.
    func wait(_ time: Duration, into ready: inout [Int32]) {
        var events = unsafe [epoll_event](repeating: epoll_event(), count: 8)
        // Rounded up, so that the loop does not spin until a deadline arrives.
        let milliseconds = Int32(clamping: max(0, (time + .nanoseconds(999_999)).milliseconds))
        let count = unsafe epoll_wait(descriptor, &events, 8, milliseconds)
        ready.removeAll(keepingCapacity: true)
        for index in 0..<max(0, Int(count)) { unsafe ready.append(events[index].data.fd) }
    }
}
