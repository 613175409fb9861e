internal import Core

/// The worker's stage between start and exit.
struct Shutdown {
    enum Stage: Equatable {
        case running
        /// Requests in flight finish, and nothing new begins. Becomes `closing`, or `closed` if time runs out.
        case draining(until: Uptime)
        /// The worker is leaving the group. Becomes `closed`.
        case closing(until: Uptime)
        case closed
    }

    enum Step {
        case nothing
        /// The drain timed out. Open requests are left to the next owner.
        case drainTimedOut
        /// The worker did not leave the group in time. Its session lapses.
        case closeTimedOut
    }

    private(set) var stage = Stage.running
    private(set) var exitCode: Int32 = 0
    /// The minimum time for closing after a drain. Leaving the group needs its coordinator, which may just be coming
    /// back.
    private static let shortestClose: Duration = .seconds(5)

    var isRunning: Bool { stage == .running }
    var isClosed: Bool { stage == .closed }
    /// Whether the core still takes part. False while the worker is leaving the group.
    var isWorking: Bool {
        switch stage {
        case .running, .draining: true
        case .closing, .closed: false
        }
    }

    mutating func drain(until deadline: Uptime) { stage = .draining(until: deadline) }

    /// Called when nothing is open any more. Returns true if the group should be left now.
    mutating func drained(_ now: Uptime) -> Bool {
        guard case .draining(let until) = stage else { return false }
        stage = .closing(until: max(until, now + Self.shortestClose))
        return true
    }

    /// Leaves the group by a short deadline, after a drain that timed out.
    mutating func close(by deadline: Uptime) { stage = .closing(until: deadline) }

    mutating func closed() { stage = .closed }

    mutating func poll(_ now: Uptime, hasLeftGroup: @autoclosure () -> Bool) -> Step {
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
