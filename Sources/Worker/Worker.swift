package import Core
package import HSS
package import Kafka

/// The shell: one thread, one place to wait, one way into the core. Kafka's queues, the HTTP client, signals and the core's
/// next deadline meet in `turn`; each gets its budget there, and nothing in it blocks.
package final class Worker {
    package struct Options {
        package var kafka: ClientConfiguration
        package var requestsTopic: String
        package var resultsTopic: String
        package var group: String
        package var pipeline: Pipeline.Configuration
        package var shutdownTimeout: Duration

        package init(
            kafka: ClientConfiguration, requestsTopic: String, resultsTopic: String, group: String,
            pipeline: Pipeline.Configuration, shutdownTimeout: Duration
        ) {
            self.kafka = kafka
            self.requestsTopic = requestsTopic
            self.resultsTopic = resultsTopic
            self.group = group
            self.pipeline = pipeline
            self.shutdownTimeout = shutdownTimeout
        }
    }

    /// Where the worker stands between start and exit.
    private enum Stage: Equatable {
        case running
        /// What is in flight finishes; nothing new begins.
        case draining(until: Duration)
        /// The group is being left.
        case closing(until: Duration)
        case closed
    }

    private enum Source: Int32 { case consumer, producer, http, signals, restore }

    private let options: Options
    private let writer: ResultWriter
    private let poller = Poller()
    private let signals: Signals
    private let hss: HSSClient
    private let consumer: Consumer
    private var producer: Producer
    private var pipeline: Pipeline
    private var narrator: Narrator
    private var stage = Stage.running
    private var exitCode: Int32 = 0
    private var failure: WorkerFailure?

    /// Queues that may hold more than was taken: the eventfd speaks only when one was empty.
    private var consumerHasMore = true
    private var producerHasMore = true
    private var isRebalancing = false
    /// Set while partitions that were given to us wait for their ledgers; the rebalance is answered after that.
    private var restore: LedgerRestore?
    private var watched: Int32?
    private var restoreHasMore = false
    private var hasBeenAssigned = false
    /// Results that the producer's queue had no room for, in order.
    private var backlog: [(RequestID, StartResult)] = []
    private var refused: [(RequestID, KafkaError)] = []
    private var toStore: [Int32: Int64] = [:]
    /// Set when a partition has to be taken over anew, until all are revoked for it.
    private var mustRejoin = false
    private let claims = Claims()
    /// The offset that each partition's next record has, where none is gone.
    private var expected: [Int32: Int64] = [:]
    private var turnedAt = Clock.uptime
    /// A loop that stood still for longer may have lost its partitions without knowing.
    private static let stall: Duration = .seconds(5)
    private var producerEvents: [ProducerEvent] = []
    private var snapshotAt: Duration = .zero
    /// Whether something may have happened that the last snapshot does not show.
    private var isSnapshotStale = true
    private let box: SnapshotBox
    private static let snapshotInterval: Duration = .milliseconds(200)

    /// Events that one source may give in one turn.
    private enum Budget {
        static let records = 512
        static let acknowledgements = 64
        static let restored = 4096
    }

    package init(_ options: Options, hss: HSSClient, log: Log) throws(WorkerFailure) {
        self.options = options
        self.hss = hss
        signals = Signals()
        writer = ResultWriter(requestsTopic: options.requestsTopic)
        pipeline = Pipeline(options.pipeline)
        narrator = Narrator(log: log)
        box = SnapshotBox(
            Snapshot(turnedAt: Clock.uptime, notReady: ["the broker has not answered yet"], metrics: Metrics()))
        do throws(KafkaError) {
            consumer = try Consumer(options.kafka, topic: options.requestsTopic, group: options.group)
            producer = try Producer(options.kafka, topic: options.resultsTopic)
        } catch {
            throw WorkerFailure(error, servers: options.kafka.bootstrapServers)
        }
    }

    /// Answers the admin endpoint, on its own thread.
    package var router: AdminRouter { AdminRouter(box: box) }

    /// Works until a signal ends it; the exit code.
    package func run() throws(WorkerFailure) -> Int32 {
        defer { narrator.log.flush() }
        narrator.log.write(
            .info, "starting",
            [
                (.topic, .string(options.requestsTopic)), (.group, .string(options.group)),
                (.address, .string(options.kafka.bootstrapServers)),
            ])
        narrator.log.flush()
        guard try isFitToStart() else { return 0 }
        do throws(KafkaError) { try consumer.subscribe() } catch {
            throw WorkerFailure(error, servers: options.kafka.bootstrapServers)
        }
        poller.add(consumer.descriptor, as: Source.consumer.rawValue)
        poller.add(producer.descriptor, as: Source.producer.rawValue)
        poller.add(hss.descriptor, as: Source.http.rawValue)
        poller.add(signals.descriptor, as: Source.signals.rawValue)
        var ready: [Int32] = []
        while stage != .closed {
            poller.wait(patience(), into: &ready)
            turn(ready)
        }
        if let failure { throw failure }
        narrator.log.write(.info, "stopped", [(.code, .integer(Int64(exitCode)))])
        return exitCode
    }

    /// False where a signal came before the cluster answered.
    private func isFitToStart() throws(WorkerFailure) -> Bool {
        let preflight = Preflight(
            kafka: options.kafka, requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic)
        var number: Int32?
        let partitions = try preflight.check {
            number = signals.next()
            show(["the broker has not answered yet"])
            return number != nil
        }
        guard let partitions else { return false }
        var configuration = options.pipeline
        configuration.partitionCount = partitions
        configuration.requestsTopic = options.requestsTopic
        pipeline = Pipeline(configuration)
        turnedAt = Clock.uptime
        return true
    }

    /// How long nothing will happen by itself; at most a second, so that the admin endpoint sees the loop alive.
    private func patience() -> Duration {
        let now = Clock.uptime
        let hasWork =
            (consumerHasMore && takesRecords) || producerHasMore || restoreHasMore || !refused.isEmpty
        if hasWork { return .zero }
        var wake = isSnapshotStale ? max(now, snapshotAt + Self.snapshotInterval) : now + .seconds(1)
        if let deadline = pipeline.deadline(Clock.now) { wake = min(wake, deadline) }
        if let deadline = claims.deadline { wake = min(wake, deadline) }
        if let deadline = hss.deadline { wake = min(wake, deadline) }
        if let deadline = restore?.deadline { wake = min(wake, deadline) }
        if !backlog.isEmpty || !isWorking { wake = min(wake, now + .milliseconds(10)) }
        return max(.zero, wake - now)
    }

    private var isWorking: Bool {
        switch stage {
        case .running, .draining: true
        case .closing, .closed: false
        }
    }

    /// While a rebalance waits for its answer its queue is left alone.
    private var takesRecords: Bool { (pipeline.wantsRecords || pipeline.isPaused || !isWorking) && !isRebalancing }

    private func turn(_ ready: [Int32]) {
        for number in ready {
            switch Source(rawValue: number) {
            case .consumer:
                consumer.acknowledge()
                consumerHasMore = true
            case .producer:
                producer.acknowledge()
                producerHasMore = true
            case .signals: takeSignals()
            case .restore: restoreHasMore = true
            case .http, nil: break
            }
        }
        if Clock.uptime - turnedAt > Self.stall { hand(.stalled) }
        turnedAt = Clock.uptime
        isSnapshotStale = isSnapshotStale || !ready.isEmpty
        takeAcknowledgements()
        takeAnswers()
        advanceRestore()
        takeRecords()
        if let deadline = pipeline.deadline(Clock.now), deadline <= Clock.uptime { hand(.tick) }
        retryPublishing()
        storeOffsets()
        rejoinIfNeeded()
        advanceClaims()
        advanceShutdown()
        show(notReady)
        narrator.log.flush()
    }

    // MARK: Facts in

    /// The one way into the core, and out of it.
    private func hand(_ fact: Fact) {
        let now = Clock.now
        for effect in pipeline.handle(fact, now: now) {
            switch effect {
            case .call(let call): hss.start(call, now: now)
            case .query(let query):
                narrator.metrics.reads += 1
                hss.status(query, now: now)
            case .publish(let request, let result): publish(request, result)
            case .store(let partition, let offset): toStore[partition] = offset
            case .takeAnew(let partition, let offset): takeAnew(partition, from: offset)
            case .pause(let partitions): consumer.pause(partitions)
            case .resume(let partitions): consumer.resume(partitions)
            case .release(let partition, let handover):
                let text = handover.map { pipeline.configuration.quota == nil ? "" : $0.text }
                let goesLater = text.map { claims.handOver(partition, $0, now: now.uptime) } ?? false
                if !goesLater { release([partition]) }
            case .drained:
                // The group is left by way of its coordinator, which may just be coming back: all the time there is left.
                if case .draining(let until) = stage { beginClosing(by: max(until, now.uptime + .seconds(5))) }
            case .log(let note): narrator.tell(note, call: pipeline.callName, now: now)
            }
        }
    }

    private func takeSignals() {
        while let number = signals.next() {
            guard stage == .running else {
                narrator.log.write(.warning, "second signal: exiting at once", [(.signal, .integer(Int64(number)))])
                narrator.log.flush()
                Process.exitAtOnce(128 + number)
            }
            narrator.log.write(
                .info, "stopping: what is in flight finishes",
                [(.signal, .integer(Int64(number))), (.count, .integer(Int64(pipeline.openCount)))])
            beginDraining()
        }
    }

    private func beginDraining() {
        stage = .draining(until: Clock.uptime + options.shutdownTimeout)
        hand(.drain)
        // What was given to us is taken without its ledger, so that it can be given back: a drain admits nothing.
        endRestore([:])
    }

    private func takeAcknowledgements() {
        guard producerHasMore else { return }
        producerEvents.removeAll(keepingCapacity: true)
        producerHasMore = false
        for _ in 0..<Budget.acknowledgements {
            guard producer.next(into: &producerEvents) else { break }
            producerHasMore = true
        }
        for event in producerEvents {
            switch event {
            case .acknowledged(let request, _): hand(.published(request))
            case .refused(let request, let error):
                hand(
                    .publishFailed(request, reason: error.description, isTooLarge: error.isTooLarge))
            case .failed(let error): report(error)
            case .log(let line): pass(line)
            }
        }
        if producer.isBroken && producer.pending == 0 { rebuildProducer() }
    }

    private func takeAnswers() {
        let now = Clock.now
        for (call, reply) in hss.turn(now: now) { hand(.answered(call, reply)) }
        if hss.credentialsChanged(now: now) {
            narrator.log.write(.info, "credential read anew")
            hand(.credentialChanged)
        }
    }

    private func takeRecords() {
        guard consumerHasMore else { return }
        for _ in 0..<Budget.records {
            guard takesRecords else { return }
            guard let event = consumer.next() else {
                consumerHasMore = false
                return
            }
            switch event {
            case .record(let record):
                lookForLoss(record.position)
                hand(.received(record))
            case .reachedEnd(let position): hand(.reachedEnd(position))
            case .assigned(let partitions): assigned(partitions)
            case .revoked(let partitions, let isLost): revoked(partitions, isLost: isLost)
            case .commitFailed(let error):
                narrator.metrics.commitFailures += 1
                narrator.log.write(
                    .info, "offsets not committed: the next commit carries them", [(.error, .string(error.description))]
                )
            case .failed(let error):
                report(error)
                if error.isFatal { return end(because: error) }
            case .log(let line): pass(line)
            }
        }
    }

    /// Retention can overtake a worker that is behind or away: what was deleted unread is told, because nobody answers it.
    private func lookForLoss(_ position: Position) {
        let (partition, offset) = (position.partition, position.offset)
        if let next = expected[partition], offset > next, let start = consumer.knownStart(partition), start > next {
            narrator.lost(partition, next..<min(offset, start))
        }
        expected[partition] = offset + 1
    }

    /// The consumer is unusable for good (another member has its `group.instance.id`, say): what is open is the next owner's.
    private func end(because error: KafkaError) {
        hand(.revoked(pipeline.assignedPartitions, isLost: true, deadline: Clock.uptime))
        stage = .closed
        failure = WorkerFailure(error, servers: options.kafka.bootstrapServers)
    }

    // MARK: Ownership

    /// The partitions' results are read first: until then the assignment is not answered, so that nothing is fetched.
    private func assigned(_ partitions: [Int32]) {
        if let highest = partitions.max(), Int(highest) >= pipeline.configuration.partitionCount, stage == .running {
            // The quota is shared by the partitions that there were: each member has to count them anew.
            narrator.log.write(
                .warning, "partitions were added to the requests topic: stopping, start again",
                [(.topic, .string(options.requestsTopic)), (.count, .integer(Int64(highest) + 1))])
            exitCode = 75
            beginDraining()
        }
        guard !partitions.isEmpty, stage == .running else {
            accept(partitions, [:])
            return
        }
        let now = Clock.wall
        let subject = TakeoverLookup.Subject(
            requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic, group: options.group,
            partitions: partitions, since: now + (.zero - options.pipeline.dedupeWindow))
        restore = LedgerRestore(
            subject, kafka: options.kafka, callsSince: now + (.zero - (options.pipeline.quota?.window ?? .zero)))
        restoreHasMore = true
    }

    private func advanceRestore() {
        guard let restore else { return }
        do throws(KafkaError) { restoreHasMore = try restore.turn(budget: Budget.restored) } catch {
            restoreHasMore = false
            report(error)
        }
        if watched != restore.descriptor {
            if let watched { poller.remove(watched) }
            watched = restore.descriptor
            if let watched { poller.add(watched, as: Source.restore.rawValue) }
        }
        narrator.metrics.restored = restore.read
        guard restore.isDone else {
            if narrator.mayRepeat("restore", every: .seconds(5), Clock.uptime) {
                narrator.log.write(.info, "reading results before work", [(.count, .integer(Int64(restore.read)))])
            }
            return
        }
        narrator.log.write(
            .info, "results read",
            [
                (.count, .integer(Int64(restore.read))), (.skipped, .integer(Int64(restore.foreign))),
                (.took, .integer((Clock.uptime - restore.began).milliseconds)),
            ])
        endRestore(restore.ledgers)
    }

    private func endRestore(_ ledgers: [Int32: Ledger]) {
        guard let restore else { return }
        if let watched { poller.remove(watched) }
        (self.restore, watched, restoreHasMore) = (nil, nil, false)
        expected = restore.takeovers.filter { $0.value.committed != nil }.mapValues(\.start)
        let reset = restore.takeovers.filter(\.value.isBeyondEnd).mapValues(\.start)
        accept(restore.subject.partitions, ledgers, from: reset)
        narrator.tell(restore, ledgers)
        guard stage == .running else { return }
        for (partition, claim) in restore.claims {
            let takeover = restore.takeovers[partition]
            claims.took(
                partition, at: takeover?.start ?? 0,
                pipeline.configuration.quota == nil ? nil : claim)
        }
    }

    /// Commits what says whose the partitions' share of the quota is, and lets go of those that have said it.
    private func advanceClaims() {
        let (claimed, gone) = claims.turn(consumer, now: Clock.uptime)
        if !claimed.isEmpty { hand(.claimed(claimed)) }
        if !gone.isEmpty { release(gone) }
    }

    /// `starts`: where reading begins in place of the committed offset, which is set back to it: the log may have grown beyond
    /// the old one by the time of the next takeover.
    private func accept(_ partitions: [Int32], _ ledgers: [Int32: Ledger], from starts: [Int32: Int64] = [:]) {
        attempt { () throws(KafkaError) in try consumer.accept(from: starts) }
        commitBack(starts)
        for partition in partitions { hand(.assigned(partition, ledgers[partition] ?? Ledger())) }
        narrator.log.write(
            .info, "partitions assigned", [(.partitions, .array(partitions.sorted().map { .integer(Int64($0)) }))])
        if !hasBeenAssigned {
            hasBeenAssigned = true
            narrator.log.write(.info, "ready")
        }
    }

    /// Where a log went back, what was stored of the old one must not be committed over the new one.
    private func takeAnew(_ partition: Int32, from offset: Int64) {
        toStore[partition] = offset
        storeOffsets()
        commitBack([partition: offset])
        mustRejoin = true
    }

    /// The library commits by itself only what is higher than what it committed before.
    private func commitBack(_ offsets: [Int32: Int64]) {
        guard !offsets.isEmpty else { return }
        attempt { () throws(KafkaError) in
            if let error = consumer.commit(offsets.map { ($0.key, $0.value, "") }, id: 0) { throw error }
        }
    }

    private func rejoinIfNeeded() {
        guard mustRejoin, !isRebalancing, restore == nil, stage == .running else { return }
        mustRejoin = false
        attempt { () throws(KafkaError) in try consumer.rejoin() }
    }

    private func revoked(_ partitions: [Int32], isLost: Bool) {
        isRebalancing = true
        if pipeline.stalePartitions.allSatisfy(partitions.contains) { mustRejoin = false }
        narrator.log.write(
            isLost ? .warning : .info, isLost ? "partitions lost" : "partitions revoked",
            [(.partitions, .array(partitions.sorted().map { .integer(Int64($0)) }))])
        let known = Set(pipeline.assignedPartitions)
        let unknown = partitions.filter { !known.contains($0) }
        if !unknown.isEmpty || partitions.isEmpty { release(unknown) }
        hand(
            .revoked(partitions, isLost: isLost, deadline: Clock.uptime + min(options.shutdownTimeout, .seconds(25))))
    }

    /// What is done of these partitions is stored before they go, so that giving them up commits it.
    private func release(_ partitions: [Int32]) {
        storeOffsets()
        for partition in partitions { claims.forget(partition) }
        attempt { () throws(KafkaError) in
            if try consumer.release(partitions) { isRebalancing = false }
        }
        // Events have piled up while the queue was left alone.
        consumerHasMore = true
    }

    private func storeOffsets() {
        guard !toStore.isEmpty else { return }
        consumer.store(toStore.map { ($0.key, $0.value) })
        claims.stored(toStore)
        toStore.removeAll(keepingCapacity: true)
    }

    // MARK: Results out

    private func publish(_ request: RequestID, _ result: StartResult) {
        guard backlog.isEmpty else {
            backlog.append((request, result))
            return
        }
        if !send(request, result) { backlog.append((request, result)) }
    }

    /// False where there was no room.
    private func send(_ request: RequestID, _ result: StartResult) -> Bool {
        let record = writer.record(result)
        switch producer.produce(
            id: request, partition: record.partition, key: record.key, value: record.value, headers: record.headers)
        {
        case .queued: return true
        case .full: return false
        case .refused(let error):
            refused.append((request, error))
            return true
        }
    }

    private func retryPublishing() {
        var sent = 0
        for (request, result) in backlog {
            guard send(request, result) else { break }
            sent += 1
        }
        backlog.removeFirst(sent)
        let failed = refused
        refused.removeAll()
        for (request, error) in failed {
            hand(.publishFailed(request, reason: error.description, isTooLarge: error.isTooLarge))
        }
    }

    private func rebuildProducer() {
        attempt { () throws(KafkaError) in
            let fresh = try Producer(options.kafka, topic: options.resultsTopic)
            poller.remove(producer.descriptor)
            producer = fresh
            poller.add(producer.descriptor, as: Source.producer.rawValue)
            narrator.log.write(.warning, "producer built anew after a fatal error")
        }
    }

    // MARK: Shutdown

    private func beginClosing(by deadline: Duration) {
        storeOffsets()
        stage = .closing(until: deadline)
        attempt { () throws(KafkaError) in try consumer.beginClose() }
        consumerHasMore = true
    }

    private func advanceShutdown() {
        let now = Clock.uptime
        switch stage {
        case .running, .closed: break
        case .draining(let deadline):
            guard now >= deadline else { return }
            exitCode = 75
            narrator.log.write(
                .warning, "out of time: what is open is left to the next owner",
                [(.count, .integer(Int64(pipeline.openCount)))])
            hand(.revoked(pipeline.assignedPartitions, isLost: true, deadline: now))
            // A result that is still on its way could reach its topic after the next owner has read it: the session lapses
            // first, so that it is there by then or not at all.
            if producer.pending > 0 || !backlog.isEmpty { stage = .closed } else { beginClosing(by: now + .seconds(2)) }
        case .closing(let deadline):
            consumerHasMore = true
            if consumer.isClosed {
                stage = .closed
            } else if now >= deadline {
                narrator.log.write(.warning, "the group was not left in time: its session will lapse")
                exitCode = 75
                stage = .closed
            }
        }
    }

    // MARK: What goes wrong, and who is told

    private func attempt(_ body: () throws(KafkaError) -> Void) {
        do throws(KafkaError) { try body() } catch { report(error) }
    }

    private func report(_ error: KafkaError) {
        narrator.metrics.kafkaErrors += 1
        guard error.isFatal || narrator.mayRepeat("kafka \(error.name)", every: .seconds(10), Clock.uptime) else {
            return
        }
        narrator.log.write(
            error.isFatal || error.kind == .notPermitted ? .error : .warning, "Kafka client error",
            [(.error, .string(error.name)), (.detail, .string(error.text))])
    }

    private func pass(_ line: LibraryLog) {
        // Passing a consumer's property to the producer, and the reverse, is how one list serves both.
        guard line.facility != "CONFWARN" else { return }
        narrator.log.write(
            line.level <= 3 ? .warning : line.level <= 5 ? .info : .debug, "Kafka client log",
            [(.facility, .string(line.facility)), (.detail, .string(line.text))])
    }

    private var notReady: [String] {
        var reasons: [String] = []
        if restore != nil {
            let cause = restore?.failure.map { ": \($0.description)" } ?? ""
            reasons.append("results are being read before work\(cause)")
        } else if !hasBeenAssigned {
            reasons.append("no partition is assigned yet")
        }
        if stage != .running { reasons.append("stopping") }
        if case .closed = pipeline.gateState {
            reasons.append("the credential was refused, calls wait: \(narrator.gateRemedy)")
        }
        if pipeline.hasUnpublished || !backlog.isEmpty || pipeline.areResultsStuck(Clock.uptime) {
            reasons.append("results cannot be written; they wait")
        }
        return reasons
    }

    /// Hands a picture of the loop to the admin endpoint, a few times a second.
    private func show(_ reasons: @autoclosure () -> [String]) {
        let now = Clock.uptime
        guard now - snapshotAt >= Self.snapshotInterval else { return }
        snapshotAt = now
        isSnapshotStale = false
        narrator.metrics.open = pipeline.openCount
        narrator.metrics.openBytes = pipeline.openBytes
        narrator.metrics.waiting = pipeline.waitingCount
        narrator.metrics.inFlight = pipeline.inFlight
        narrator.metrics.isPaused = !pipeline.wantsRecords
        narrator.metrics.unwrittenFor = pipeline.unwrittenFor(now)
        if pipeline.areResultsStuck(now), narrator.mayRepeat("unwritten", every: .seconds(10), now) {
            narrator.log.write(
                .error, "results are not written: they wait, and nothing more is fetched",
                [(.topic, .string(options.resultsTopic)), (.count, .integer(Int64(pipeline.openCount)))])
        }
        if case .closed = pipeline.gateState {
            narrator.metrics.isGateOpen = false
        } else {
            narrator.metrics.isGateOpen = true
        }
        narrator.metrics.lag = [:]
        for partition in pipeline.assignedPartitions {
            let next = pipeline.committable(partition)
            let end = consumer.knownEnd(partition)
            narrator.metrics.lag[partition] = max(0, (end ?? 0) - (next ?? end ?? 0))
        }
        box.set(Snapshot(turnedAt: now, notReady: reasons(), metrics: narrator.metrics))
    }
}
