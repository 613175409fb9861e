internal import Core

/// Where the worker stands between start and exit.
struct Shutdown {
    enum Stage: Equatable {
        case running
        /// What is in flight finishes; nothing new begins. Becomes `closing`, or `closed` where time runs out.
        case draining(until: Duration)
        /// The group is being left. Becomes `closed`.
        case closing(until: Duration)
        case closed
    }

    enum Step {
        case nothing
        /// The drain's time is over: what is open is left to the next owner.
        case drainTimedOut
        /// The group was not left in time: its session lapses.
        case closeTimedOut
    }

    private(set) var stage = Stage.running
    private(set) var exitCode: Int32 = 0
    /// From the end of a drain to the end of the closing, at least: the group is left by way of its coordinator, which may
    /// just be coming back.
    private static let shortestClose: Duration = .seconds(5)

    var isRunning: Bool { stage == .running }
    var isClosed: Bool { stage == .closed }
    /// Whether the core still takes part: not while the group is being left.
    var isWorking: Bool {
        switch stage {
        case .running, .draining: true
        case .closing, .closed: false
        }
    }

    mutating func drain(until deadline: Duration) { stage = .draining(until: deadline) }

    /// Nothing is open any more. True where the group is to be left now.
    mutating func drained(_ now: Duration) -> Bool {
        guard case .draining(let until) = stage else { return false }
        stage = .closing(until: max(until, now + Self.shortestClose))
        return true
    }

    /// Leaves the group within so short a time, after a drain that timed out.
    mutating func close(by deadline: Duration) { stage = .closing(until: deadline) }

    mutating func closed() { stage = .closed }

    mutating func poll(_ now: Duration, hasLeftGroup: @autoclosure () -> Bool) -> Step {
        switch stage {
        case .running, .closed: return .nothing
        case .draining(let deadline):
            guard now >= deadline else { return .nothing }
            exitCode = 75
            return .drainTimedOut
        case .closing(let deadline):
            if hasLeftGroup() {
                stage = .closed
            } else if now >= deadline {
                (stage, exitCode) = (.closed, 75)
                return .closeTimedOut
            }
            return .nothing
        }
    }
}
