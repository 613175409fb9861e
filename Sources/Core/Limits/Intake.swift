/// Bounds how much is open, and decides when to stop taking records. When the intake is only briefly full, records
/// stay in the consumer's queue. When it stays full, the partitions are paused, so that the queue can be read for
/// other events. When it is half empty, the partitions are resumed. Results that their topic does not accept have
/// the same effect as a full intake.
struct Intake: Equatable {
    private(set) var isFull = false
    private(set) var isPaused = false
    private var fullSince: Uptime?
    /// The partitions are paused after the intake has been full for this long.
    static let patience: Duration = .seconds(1)

    var deadline: Uptime? { isPaused ? nil : fullSince.map { $0 + Self.patience } }

    enum Change { case pause, resume }

    mutating func balance(
        _ open: OpenRequests, maximumCount: Int, maximumBytes: Int, isStuck: Bool, now: Uptime
    ) -> Change? {
        let (count, bytes) = (open.count, open.bytes)
        if count >= maximumCount || bytes >= maximumBytes || isStuck {
            isFull = true
            if fullSince == nil { fullSince = now }
            guard !isPaused, let since = fullSince, now - since >= Self.patience else { return nil }
            isPaused = true
            return .pause
        }
        let hasRoom = count <= maximumCount / 2 && bytes <= maximumBytes / 2
        if isPaused {
            guard hasRoom else { return nil }
            (isFull, isPaused, fullSince) = (false, false, nil)
            return .resume
        }
        (isFull, fullSince) = (false, nil)
        return nil
    }
}

extension Pipeline {
    mutating func balanceIntake(_ now: Uptime) {
        switch intake.balance(
            open, maximumCount: configuration.maximumOpen, maximumBytes: configuration.maximumOpenBytes,
            isStuck: areResultsStuck(now), now: now)
        {
        case .pause:
            let running = partitions.filter { !$0.value.isPaused && $0.value.revokedBy == nil }.keys.sorted()
            for number in running { partitions[number]?.isPaused = true }
            effects.append(.log(.full(openCount: open.count, bytes: open.bytes)))
            if !running.isEmpty { effects.append(.pause(running)) }
        case .resume:
            let paused = partitions.filter { $0.value.isPaused && $0.value.revokedBy == nil }.keys.sorted()
            for number in paused { partitions[number]?.isPaused = false }
            effects.append(.log(.room))
            if !paused.isEmpty { effects.append(.resume(paused)) }
        case nil: break
        }
    }
}
