internal import Checking
internal import Core
internal import Kafka

/// Manages this worker's partitions: from the group's assignment, through the restore of their ledgers, to their last
/// commit. Emits the events that the core needs, in order.
final class PartitionOwnership {
    private let options: Worker.Options
    private let consumer: Consumer
    private let commits: OffsetCommits
    private let status: StatusReporter
    private var lag = Lag()
    /// Whether the consumer's queue may hold more events. librdkafka signals only when the queue becomes non-empty.
    private(set) var hasEvents = true
    /// Whether a rebalance waits for this worker's answer. The consumer's queue is not read meanwhile.
    private(set) var isRebalancing = false
    /// Another worker of the group makes the calls.
    private(set) var isStandby = false
    private(set) var hasBeenAssigned = false
    /// Since when the group has sent this worker no assignment, not even an empty one. Nil after an assignment.
    private var unassignedSince: Uptime? = Clock.uptime
    /// What to restore once none of this worker's results is still being written.
    private var awaited: TakeoverLookup.Subject?
    /// Set while newly assigned partitions wait for their ledgers. The rebalance is answered after that.
    private var restore: LedgerRestore?
    private var restoreHasMore = false
    /// Finished offsets that are not yet passed to `commits`.
    private var toStore: [Int32: Int64] = [:]
    /// Set when a partition must be taken over again, until all such partitions are revoked.
    private var mustRejoin = false
    /// The expected offset of each partition's next record, if no record is missing.
    private var expected: [Int32: Int64] = [:]
    private static let resultsPerPoll = 4096

    init(_ options: Worker.Options, _ consumer: Consumer, _ status: StatusReporter) {
        self.options = options
        self.consumer = consumer
        self.status = status
        commits = OffsetCommits(interval: min(.seconds(1), options.sessionTimeout / 6))
    }

    var consumerDescriptor: Int32 { consumer.descriptor }
    /// Becomes readable while results are read. It changes with each restore.
    var restoreDescriptor: Int32? { restore?.descriptor }

    /// The latest time for the next `poll`.
    func deadline(_ now: Uptime) -> Uptime? {
        if restoreHasMore || !toStore.isEmpty { return now }
        return [commits.deadline, restore?.deadline].compactMap { $0 }.min()
    }

    func consumerBecameReadable() {
        consumer.acknowledge()
        hasEvents = true
    }

    func restoreBecameReadable() { restoreHasMore = true }

    /// The consumer's next event, or nil if there is none now.
    func next() -> ConsumerEvent? {
        guard hasEvents else { return nil }
        let event = consumer.next()
        if event == nil { hasEvents = false }
        return event
    }

    func pause(_ partitions: [Int32]) { consumer.pause(partitions) }
    func resume(_ partitions: [Int32]) { consumer.resume(partitions) }
    func subscribe() throws(KafkaError) { try consumer.subscribe() }

    var isRestoring: Bool { restore != nil || awaited != nil }

    /// Why this worker has no work; nil if nothing prevents it.
    var waitsFor: String? {
        if isRestoring {
            let cause = restore?.failure.map { ": \($0.description)" } ?? ""
            return "reading results before taking requests\(cause)"
        }
        return unassignedSince == nil ? nil : "no partition is assigned yet"
    }

    func lag(_ partition: Int32, committable: Int64?) -> Int64? {
        lag.records(partition, committable: committable, end: consumer.knownEnd(partition))
    }

    // MARK: Group events

    /// The group assigned these partitions. Their results are read first. The assignment is answered only after that,
    /// so that nothing is fetched before.
    func assigned(_ partitions: [Int32], isRunning: Bool, _ now: Now) -> [Event] {
        let isCaller = consumer.holdsLease
        isStandby = options.pipeline.needsLease && !isCaller
        // With a lease, the caller takes all partitions of the topic, or none beyond those that it already has.
        let wanted: [Int32]? = isCaller ? (consumer.assignment.isEmpty ? nil : []) : isStandby ? [] : partitions
        guard wanted?.isEmpty != true, isRunning else { return accept([:], [:], isRunning) }
        awaited = TakeoverLookup.Subject(
            requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic, group: options.group,
            partitions: wanted,
            // The last results show when the last call was made.
            since: now.wall + (.zero - max(options.pipeline.dedupeWindow, options.pipeline.quota?.window ?? .zero)))
        return []
    }

    /// The group revokes these partitions. `pipeline` reports what the core holds of them.
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

    /// Reports records that retention deleted before they were read. Nobody answers them.
    func received(_ position: Position) {
        let (partition, offset) = (position.partition, position.offset)
        if let next = expected[partition], offset > next, let start = consumer.knownStart(partition), start > next {
            status.lost(partition, next..<min(offset, start))
        }
        expected[partition] = offset + 1
    }

    // MARK: Effects from the core

    func store(_ partition: Int32, _ offset: Int64) { toStore[partition] = offset }

    /// If a log went back, an offset stored for the old log must not be committed for the new one.
    func takeAnew(_ partition: Int32, from offset: Int64, _ now: Now) {
        toStore[partition] = nil
        commits.stored([partition: offset], again: true)
        // Calls may be in flight for records that are gone.
        if options.pipeline.needsLease {
            commits.inherited = PreviousOwner.unknown(idleSince: nil).inherited(now.wall, options.pipeline)
        }
        mustRejoin = true
    }

    /// Gives up a partition. A lost partition goes at once, any other after a last commit.
    func release(_ partition: Int32, isLost: Bool, _ handover: Handover?, _ now: Uptime) {
        storeOffsets()
        if isLost || !commits.leave(partition, handover, now: now) { release([partition]) }
    }

    private func release(_ partitions: [Int32]) {
        storeOffsets()
        for partition in partitions { commits.forget(partition) }
        status.attempt { () throws(KafkaError) in
            if try consumer.release(partitions) { isRebalancing = false }
        }
        // Events accumulated while the queue was not read.
        hasEvents = true
    }

    /// Leaves the group.
    func beginClose() {
        storeOffsets()
        status.attempt { () throws(KafkaError) in try consumer.beginClose() }
        hasEvents = true
    }

    /// Whether this worker has left the group. Until then the consumer's events must be taken.
    func hasLeftGroup() -> Bool {
        hasEvents = true
        return consumer.isClosed
    }

    private func storeOffsets() {
        guard !toStore.isEmpty else { return }
        commits.stored(toStore)
        toStore.removeAll(keepingCapacity: true)
    }

    // MARK: Restore

    /// Reads results, makes due commits, and takes their outcomes. `isIdle` means that none of this worker's results is
    /// still being written. A restore waits for the results that this worker wrote before it lost a partition. If such
    /// a result arrived after the results were read, its record would be answered again.
    func poll(_ now: Now, isIdle: Bool, isRunning: Bool) -> [Event] {
        var events: [Event] = []
        if let subject = awaited, isIdle {
            awaited = nil
            restore = LedgerRestore(subject, kafka: options.kafka)
            restoreHasMore = true
        }
        if let restore, advance(restore, now) { events += endRestore(isRunning: isRunning, now) }
        storeOffsets()
        if mustRejoin, !isRebalancing, restore == nil, awaited == nil, isRunning {
            mustRejoin = false
            status.attempt { () throws(KafkaError) in try consumer.rejoin() }
        }
        return events + pollCommits(now.uptime)
    }

    /// Returns true once all results are read.
    private func advance(_ restore: LedgerRestore, _ now: Now) -> Bool {
        do throws(KafkaError) { restoreHasMore = try restore.turn(budget: Self.resultsPerPoll, now: now.wall) } catch {
            restoreHasMore = false
            status.report(error, .read, options.resultsTopic)
        }
        status.restored(restore.read)
        guard restore.isDone else {
            status.log(
                .info, "reading results before taking requests", [(.count, .integer(Int64(restore.read)))],
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

    /// Answers the assignment with what was restored, or with nothing during a drain.
    func endRestore(isRunning: Bool, _ now: Now) -> [Event] {
        if awaited != nil {
            awaited = nil
            return accept([:], [:], isRunning)
        }
        guard let restore else { return [] }
        (self.restore, restoreHasMore) = (nil, false)
        defer { restore.end() }
        // A drain admits no requests. The assignment is accepted so that it can be given back.
        guard isRunning else { return accept([:], [:], isRunning) }
        let starts = restore.takeovers.mapValues(\.start)
        expected = restore.takeovers.filter { $0.value.committed != nil }.mapValues(\.start)
        lag.took(restore.takeovers)
        commits.began(starts)
        // By the next takeover the log may have grown beyond the old offset.
        commits.stored(restore.takeovers.filter(\.value.isBeyondEnd).mapValues(\.start), again: true)
        status.record(restore)
        let events = accept(starts, restore.ledgers, isRunning)
        if consumer.holdsLease {
            let previous = restore.previousOwner
            commits.takeOver(from: previous, inherited: previous.inherited(now.wall, options.pipeline))
        }
        return events
    }

    private func accept(_ starts: [Int32: Int64], _ ledgers: [Int32: Ledger], _ isRunning: Bool) -> [Event] {
        status.attempt { () throws(KafkaError) in try consumer.accept(starts) }
        let partitions = starts.keys.sorted()
        status.log(
            .info, isStandby ? "standing by: another worker of the group is the caller" : "partitions assigned",
            [(.partitions, .array(partitions.map { .integer(Int64($0)) }))])
        unassignedSince = nil
        if !hasBeenAssigned && isRunning {
            hasBeenAssigned = true
            status.log(.info, "ready")
        }
        return partitions.map { .assigned($0, ledgers[$0] ?? Ledger()) }
    }

    // MARK: Commits

    private func pollCommits(_ now: Uptime) -> [Event] {
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

    /// Calls may be sent for this long after an acknowledged commit was sent. The coordinator gives the caller role to
    /// another member only after a whole session since it received that commit. The remaining tenth covers clocks that
    /// run at different speeds.
    static func lease(of sessionTimeout: Duration) -> Duration { sessionTimeout * 9 / 10 }

    /// Logs from time to time that the group has not assigned anything yet.
    func sayWhetherAssigned(_ now: Uptime) {
        guard let since = unassignedSince, restore == nil, now - since > .seconds(3) else { return }
        status.log(
            .info, "waiting for the group to assign partitions", [(.group, .string(options.group))],
            atMostEvery: .seconds(30), as: "unassigned")
    }
}
