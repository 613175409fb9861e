internal import CLinux
internal import Core
internal import Glibc
internal import Synchronization

/// Writes lines to standard error on a thread of its own. A pipe without a reader blocks that thread and not the loop.
/// The descriptor's flags stay unchanged, because other processes may share the descriptor.
@safe final class LogOutput: Sendable {
    private struct State {
        /// Whole lines that wait for the writer thread.
        var pending: [UInt8] = []
        /// Bytes that the thread is writing.
        var writing = 0
        var hasThread = false
        /// Lines dropped since the start, and how many of them no log line has reported yet.
        var dropped = 0
        var untold = 0
    }

    private let state = Mutex(State())
    private let descriptor: Int32
    private let capacity: Int
    /// Eventfds. `wake` signals that there is something to write; `idle` signals that everything is written.
    private let wake = eventfd(0, Int32(EFD_CLOEXEC))
    private let idle = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))

    /// Shared by all logs of the process, so that their lines keep their order and stay whole. At most 1 MiB waits.
    static let standardError = LogOutput(descriptor: 2, capacity: 1 << 20)

    init(descriptor: Int32, capacity: Int) {
        self.descriptor = descriptor
        self.capacity = capacity
    }

    var dropped: Int { state.withLock { $0.dropped } }

    /// How many dropped lines to report. Zero while there is no room for the line that reports them.
    func takeUntold() -> Int {
        state.withLock { state in
            guard state.untold > 0, state.pending.count + state.writing < capacity / 2 else { return 0 }
            defer { state.untold = 0 }
            return state.untold
        }
    }

    /// Takes whole lines. Lines without room are dropped and counted.
    func put(_ lines: [UInt8]) {
        let isNew = state.withLock { state in
            if state.pending.count + state.writing + lines.count <= capacity {
                state.pending += lines
            } else {
                for line in lines.split(separator: UInt8(ascii: "\n")) {
                    if state.pending.count + state.writing + line.count < capacity {
                        state.pending += line
                        state.pending.append(UInt8(ascii: "\n"))
                    } else {
                        state.dropped += 1
                        state.untold += 1
                    }
                }
            }
            defer { state.hasThread = true }
            return !state.hasThread
        }
        if isNew { startThread() }
        Self.signal(wake)
    }

    /// Waits until everything is written, but no longer than `time`.
    func drain(within time: Duration) {
        let deadline = Clock.uptime + time
        while state.withLock({ $0.writing > 0 || !$0.pending.isEmpty }) {
            let left = (deadline - Clock.uptime).milliseconds
            guard left > 0 else { return }
            var watched = pollfd(fd: idle, events: Int16(POLLIN), revents: 0)
            if unsafe poll(&watched, 1, Int32(clamping: left)) > 0 { Self.take(idle) }
        }
    }

    private func startThread() {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        // Without a thread, lines are counted as dropped once the buffer is full.
        if unsafe pthread_create(&thread, nil, writeLines, context) == 0 { pthread_detach(thread) }
    }

    fileprivate func writeForever() -> Never {
        var batch: [UInt8] = []
        while true {
            batch.removeAll(keepingCapacity: true)
            state.withLock { state in
                swap(&batch, &state.pending)
                state.writing = batch.count
            }
            if batch.isEmpty {
                Self.signal(idle)
                Self.take(wake)
            } else {
                write(batch)
            }
        }
    }

    private func write(_ batch: [UInt8]) {
        var written = 0
        while written < batch.count {
            let count = unsafe batch.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
            }
            if count >= 0 {
                written += count
            } else if errno == EAGAIN {
                // Another process that shares the descriptor has made it non-blocking.
                var watched = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                unsafe _ = poll(&watched, 1, -1)
            } else if errno != EINTR {
                let lost = batch[written...].count { $0 == UInt8(ascii: "\n") }
                state.withLock { state in
                    state.dropped += lost
                    state.untold += lost
                }
                return
            }
        }
    }

    private static func signal(_ descriptor: Int32) { _ = eventfd_write(descriptor, 1) }

    /// Takes the signal. Waits for one if the descriptor is blocking.
    private static func take(_ descriptor: Int32) {
        var count: eventfd_t = 0
        unsafe _ = eventfd_read(descriptor, &count)
    }
}

private func writeLines(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    unsafe Unmanaged<LogOutput>.fromOpaque(context).takeRetainedValue().writeForever()
}
