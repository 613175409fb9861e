internal import Core
internal import Kafka

/// Which partitions are this worker's: from the group's assignment, through the restore of their ledgers, to their last
/// commit. What the core has to know of it comes out as facts, in order.
final class PartitionOwnership {
    private let options: Worker.Options
    private let consumer: Consumer
    private let commits: OffsetCommits
    private let status: StatusReporter
    private var lag = Lag()
    /// Whether the consumer's queue may hold more than was taken: it signals only when it becomes non-empty.
    private(set) var hasEvents = true
    /// Whether a rebalance waits for this worker's answer. The consumer's queue is left alone meanwhile.
    private(set) var isRebalancing = false
    /// Another worker of the group calls.
    private(set) var isStandby = false
    private(set) var hasBeenAssigned = false
    /// Since when the group has assigned nothing to us, not even no partitions; nil after an assignment.
    private var unassignedSince: Duration? = Clock.uptime
    /// What is restored once no result of ours is on its way any more.
    private var awaited: TakeoverLookup.Subject?
    /// Set while partitions that were given to us wait for their ledgers; the rebalance is answered after that.
    private var restore: LedgerRestore?
    private var restoreHasMore = false
    /// What is done and not passed to the commits yet.
    private var toStore: [Int32: Int64] = [:]
    /// Set when a partition has to be taken over anew, until all are revoked for it.
    private var mustRejoin = false
    /// The offset that each partition's next record has, where none is gone.
    private var expected: [Int32: Int64] = [:]
    private static let resultsPerPoll = 4096

    init(_ options: Worker.Options, _ consumer: Consumer, _ status: StatusReporter) {
        self.options = options
        self.consumer = consumer
        self.status = status
        commits = OffsetCommits(interval: min(.seconds(1), options.sessionTimeout / 6))
    }

    var consumerDescriptor: Int32 { consumer.descriptor }
    /// What becomes readable while results are read; another one with each restore.
    var restoreDescriptor: Int32? { restore?.descriptor }

    /// When `poll` is wanted at the latest.
    func deadline(_ now: Duration) -> Duration? {
        if restoreHasMore || !toStore.isEmpty { return now }
        return [commits.deadline, restore?.deadline].compactMap { $0 }.min()
    }

    func consumerBecameReadable() {
        consumer.acknowledge()
        hasEvents = true
    }

    func restoreBecameReadable() { restoreHasMore = true }

    /// The consumer's next event; nil where there is none now.
    func next() -> ConsumerEvent? {
        guard hasEvents else { return nil }
        let event = consumer.next()
        if event == nil { hasEvents = false }
        return event
    }

    func pause(_ partitions: [Int32]) { consumer.pause(partitions) }
    func resume(_ partitions: [Int32]) { consumer.resume(partitions) }
    func subscribe() throws(KafkaError) { try consumer.subscribe() }

    /// What keeps this worker from having work; nil where nothing does.
    var waitsFor: String? {
        if restore != nil || awaited != nil {
            let cause = restore?.failure.map { ": \($0.description)" } ?? ""
            return "results are being read before work\(cause)"
        }
        return unassignedSince == nil ? nil : "no partition is assigned yet"
    }

    func lag(_ partition: Int32, committable: Int64?) -> Int64? {
        lag.records(partition, committable: committable, end: consumer.knownEnd(partition))
    }

    // MARK: What the group does

    /// The group gave these partitions. Their results are read first: the assignment is not answered before, so that nothing
    /// is fetched.
    func assigned(_ partitions: [Int32], isRunning: Bool, _ now: Now) -> [Event] {
        let isCaller = consumer.holdsLease
        isStandby = options.pipeline.needsLease && !isCaller
        // With a lease all partitions there are, or none that are not ours already.
        let wanted: [Int32]? = isCaller ? (consumer.assignment.isEmpty ? nil : []) : isStandby ? [] : partitions
        guard wanted?.isEmpty != true, isRunning else { return accept([:], [:], isRunning) }
        awaited = TakeoverLookup.Subject(
            requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic, group: options.group,
            partitions: wanted,
            // The last results tell when the last call was made.
            since: now.wall + (.zero - max(options.pipeline.dedupeWindow, options.pipeline.quota?.window ?? .zero)))
        return []
    }

    /// The group takes these partitions away. `pipeline`: what the core has of them.
    func revoked(_ partitions: [Int32], isLost: Bool, _ pipeline: Pipeline) -> [Event] {
        isRebalancing = true
        unassignedSince = Clock.uptime
        if pipeline.stalePartitions.allSatisfy(partitions.contains) { mustRejoin = false }
        status.log(
            isLost ? .warning : .info, isLost ? "partitions lost" : "partitions revoked",
            [(.partitions, .array(partitions.sorted().map { .integer(Int64($0)) }))])
        let known = Set(pipeline.assignedPartitions)
        let unknown = partitions.filter { !known.contains($0) }
        if !unknown.isEmpty || partitions.isEmpty { release(unknown) }
        let deadline = Clock.uptime + min(options.shutdownTimeout, .seconds(25))
        return [.revoked(partitions, isLost: isLost, deadline: deadline)]
    }

    /// Looks for records that retention deleted before they were read: nobody answers them.
    func received(_ position: Position) {
        let (partition, offset) = (position.partition, position.offset)
        if let next = expected[partition], offset > next, let start = consumer.knownStart(partition), start > next {
            status.lost(partition, next..<min(offset, start))
        }
        expected[partition] = offset + 1
    }

    // MARK: What the core wants

    func store(_ partition: Int32, _ offset: Int64) { toStore[partition] = offset }

    /// Where a log went back, what was stored of the old one must not be committed over the new one.
    func takeAnew(_ partition: Int32, from offset: Int64, _ now: Now) {
        toStore[partition] = nil
        commits.stored([partition: offset], again: true)
        // Calls may be under way for records that are gone.
        if options.pipeline.needsLease {
            commits.inherited = PreviousOwner.unknown(idleSince: nil).inherited(now.wall, options.pipeline)
        }
        mustRejoin = true
    }

    /// Gives a partition up: at once where it is lost, else after a last commit.
    func release(_ partition: Int32, isLost: Bool, _ handover: Handover?, _ now: Duration) {
        storeOffsets()
        if isLost || !commits.leave(partition, handover, now: now) { release([partition]) }
    }

    private func release(_ partitions: [Int32]) {
        storeOffsets()
        for partition in partitions { commits.forget(partition) }
        status.attempt { () throws(KafkaError) in
            if try consumer.release(partitions) { isRebalancing = false }
        }
        // Events have piled up while the queue was left alone.
        hasEvents = true
    }

    /// Leaves the group.
    func beginClose() {
        storeOffsets()
        status.attempt { () throws(KafkaError) in try consumer.beginClose() }
        hasEvents = true
    }

    /// Whether the group has been left. Until then events of the consumer have to be taken.
    var isClosed: Bool {
        hasEvents = true
        return consumer.isClosed
    }

    private func storeOffsets() {
        guard !toStore.isEmpty else { return }
        commits.stored(toStore)
        toStore.removeAll(keepingCapacity: true)
    }

    // MARK: Restore

    /// Reads results, commits what is due, and takes what commits have shown. `isIdle`: no result of ours is on its way.
    /// Those that this worker wrote before it lost a partition are waited for: a record whose result lands after the
    /// results were read would be answered again.
    func poll(_ now: Now, isIdle: Bool, isRunning: Bool) -> [Event] {
        var facts: [Event] = []
        if let subject = awaited, isIdle {
            awaited = nil
            restore = LedgerRestore(subject, kafka: options.kafka)
            restoreHasMore = true
        }
        if let restore, advance(restore, now) { facts += endRestore(isRunning: isRunning, now) }
        storeOffsets()
        if mustRejoin, !isRebalancing, restore == nil, awaited == nil, isRunning {
            mustRejoin = false
            status.attempt { () throws(KafkaError) in try consumer.rejoin() }
        }
        return facts + pollCommits(now.uptime)
    }

    /// True once all results are read.
    private func advance(_ restore: LedgerRestore, _ now: Now) -> Bool {
        do throws(KafkaError) { restoreHasMore = try restore.turn(budget: Self.resultsPerPoll, now: now.wall) } catch {
            restoreHasMore = false
            status.report(error, .read, options.resultsTopic)
        }
        status.restored(restore.read)
        guard restore.isDone else {
            status.log(
                .info, "reading results before work", [(.count, .integer(Int64(restore.read)))],
                atMostEvery: .seconds(5), as: "restore")
            return false
        }
        status.log(
            .info, "results read",
            [
                (.count, .integer(Int64(restore.read))), (.skipped, .integer(Int64(restore.foreign))),
                (.took, .integer((now.uptime - restore.began).milliseconds)),
            ])
        return true
    }

    /// Answers the assignment, with what was restored or, in a drain, with nothing.
    func endRestore(isRunning: Bool, _ now: Now) -> [Event] {
        if awaited != nil {
            awaited = nil
            return accept([:], [:], isRunning)
        }
        guard let restore else { return [] }
        (self.restore, restoreHasMore) = (nil, false)
        defer { restore.end() }
        // A drain admits nothing: what was given to this worker is accepted so that it can be given back.
        guard isRunning else { return accept([:], [:], isRunning) }
        let starts = restore.takeovers.mapValues(\.start)
        expected = restore.takeovers.filter { $0.value.committed != nil }.mapValues(\.start)
        lag.took(restore.takeovers)
        commits.began(starts)
        // The log may have grown beyond the old offset by the time of the next takeover.
        commits.stored(restore.takeovers.filter(\.value.isBeyondEnd).mapValues(\.start), again: true)
        status.record(restore)
        let facts = accept(starts, restore.ledgers, isRunning)
        if consumer.holdsLease {
            let previous = restore.previousOwner
            commits.takeOver(from: previous, inherited: previous.inherited(now.wall, options.pipeline))
        }
        return facts
    }

    private func accept(_ starts: [Int32: Int64], _ ledgers: [Int32: Ledger], _ isRunning: Bool) -> [Event] {
        status.attempt { () throws(KafkaError) in try consumer.accept(starts) }
        let partitions = starts.keys.sorted()
        status.log(
            .info, isStandby ? "standing by: another worker of the group calls" : "partitions assigned",
            [(.partitions, .array(partitions.map { .integer(Int64($0)) }))])
        unassignedSince = nil
        if !hasBeenAssigned && isRunning {
            hasBeenAssigned = true
            status.log(.info, "ready")
        }
        return partitions.map { .assigned($0, ledgers[$0] ?? Ledger()) }
    }

    // MARK: Commits

    private func pollCommits(_ now: Duration) -> [Event] {
        commits.poll(consumer, now: now).flatMap { outcome -> [Event] in
            switch outcome {
            case .tookOver(let previous): return [.tookOver(previous)]
            case .acknowledged(let sentAt):
                status.worked(.group)
                return sentAt.map { [.leased(until: $0 + Self.lease(of: options.sessionTimeout))] } ?? []
            case .left(let partitions): release(partitions)
            case .failed(let error): status.commitFailed(error)
            }
            return []
        }
    }

    /// For so long after an acknowledged commit was sent calls may be sent: the coordinator gives the place to another only
    /// when a whole session has passed since it received that commit. The tenth is for clocks that run at different speeds.
    static func lease(of sessionTimeout: Duration) -> Duration { sessionTimeout * 9 / 10 }

    /// Says now and then that the group has assigned nothing yet.
    func sayWhetherAssigned(_ now: Duration) {
        guard let since = unassignedSince, restore == nil, now - since > .seconds(3) else { return }
        status.log(
            .info, "waiting for the group to assign partitions", [(.group, .string(options.group))],
            atMostEvery: .seconds(30), as: "unassigned")
    }
}
