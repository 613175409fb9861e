import Core

/// One worker process: a real pipeline and its surroundings.
final class Member {
    struct Owned {
        var fetchFrom: Int64
        var stored: Int64
        var isPaused = false
        /// The log's end that the consumer has reported.
        var toldEnd: Int64?
        /// The partition's log went back, and the consumer has not noticed it yet.
        var isOutdated = false
        /// Set while the partition is being revoked.
        var revokedUntil: Uptime?
    }

    /// A result that is on its way to its topic.
    struct Pending {
        var request: RequestID
        var result: StartResult
        var isAppended = false
        /// Made after the group had gone on without the process.
        var isFromZombie = false
    }

    var pipeline: Pipeline
    let offset: Duration
    var skew: Duration
    /// The member's clock is wrong.
    var hasStepped = false
    private var clock = SteadyClock()
    var isAlive = true
    var isFrozen = false
    /// The group has gone on without this member.
    var isExpelled = false
    /// The member cannot reach the broker, but still reaches HSS.
    var isCut = false
    /// When the coordinator received the member's last commit.
    var lastContact: Uptime = .zero
    /// Counts how often the member had the lease.
    var term = 0
    /// The caller before this one, until the coordinator has acknowledged the takeover.
    var previous: PreviousOwner?
    /// What the member writes about the callers before it in the metadata of each commit.
    var inherited = ""
    /// The metadata of a commit without a handover.
    func metadata(_ partition: Int32) -> String { partition == 0 ? inherited : "" }
    var isSilent: Bool { !isAlive || isFrozen || isCut }
    var isDraining = false
    /// Drained. The member gives back every partition that it has or gets.
    var isClosing = false
    var owned: [Int32: Owned] = [:]
    var pending: [Pending] = []
    var inFlight: [CallID: [String]] = [:]
    /// The number of answered calls for each record, until the record has a result.
    var answered: [Position: Int] = [:]
    /// Requests whose result was published. It can be published again.
    var ended: Set<RequestID> = []
    /// Requests were dropped with calls in flight, so attempts are no longer compared.
    var isUnsure = false
    var wokenAt: Uptime?
    /// When the pipeline asked to be woken after the last event, by the world's clock.
    private var deadline: Uptime?
    private var handled = 0
    private(set) var mayCallEarlier = false
    /// One event in so many is followed by a check of the deadline, because the check copies the pipeline.
    private static let checked = 11

    /// The member has watched its clock for long enough to trust it.
    init(_ pipeline: Pipeline, offset: Duration, skew: Duration, at time: Uptime) {
        (self.pipeline, self.offset, self.skew) = (pipeline, offset, skew)
        _ = now(time - SteadyClock.patience)
    }

    func uptime(_ time: Uptime) -> Uptime { time - offset }

    func now(_ time: Uptime) -> Now {
        if pipeline.configuration.mutations.has(.believesEachStepOfAClock) { clock = SteadyClock() }
        return clock.now(Now(uptime: uptime(time), wall: World.wall(time) + skew))
    }

    func handle(_ event: Event, at time: Uptime) -> [Effect] {
        let now = now(time)
        let effects = pipeline.handle(event, now: now)
        deadline = Self.deadline(&pipeline, now).map { $0 + offset }
        handled += 1
        if handled.isMultiple(of: Self.checked) { mayCallEarlier = Self.callsEarlier(pipeline, now) }
        return effects
    }

    /// Whether a call or read would go before the deadline, without another event. Then the deadline is too late.
    private static func callsEarlier(_ pipeline: Pipeline, _ now: Now) -> Bool {
        // Every call in flight is answered or given up sooner than that.
        let longest = Duration.seconds(20)
        let wait = pipeline.deadline(now).map { min(longest, $0 - now.uptime) } ?? longest
        guard wait > .milliseconds(1) else { return false }
        return [wait / 2, wait - .milliseconds(1)].contains { wait in
            var copy = pipeline
            let later = Now(uptime: now.uptime + wait, wall: now.wall + wait)
            return copy.handle(.tick, now: later).contains { effect in
                switch effect {
                case .call, .query: true
                default: false
                }
            }
        }
    }

    func wantsRecords(beside count: Int = 0) -> Bool { Self.wantsRecords(&pipeline, beside: count) }

    // Reads through `inout`, because the property of a class would be copied.
    private static func deadline(_ pipeline: inout Pipeline, _ now: Now) -> Uptime? { pipeline.deadline(now) }
    private static func wantsRecords(_ pipeline: inout Pipeline, beside count: Int) -> Bool {
        pipeline.wantsRecords(beside: count)
    }

    func wakesAt(_ time: Uptime) -> Uptime? {
        guard let deadline else { return nil }
        let at = max(time, deadline)
        return at == wokenAt ? at + .milliseconds(1) : at
    }
}
