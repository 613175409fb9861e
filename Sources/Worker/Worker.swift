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
        /// How long the group waits for a member that is silent.
        package var sessionTimeout: Duration

        package init(
            kafka: ClientConfiguration, requestsTopic: String, resultsTopic: String, group: String,
            pipeline: Pipeline.Configuration, shutdownTimeout: Duration, sessionTimeout: Duration
        ) {
            self.kafka = kafka
            self.requestsTopic = requestsTopic
            self.resultsTopic = resultsTopic
            self.group = group
            self.pipeline = pipeline
            self.shutdownTimeout = shutdownTimeout
            self.sessionTimeout = sessionTimeout
            // With a quota one worker of the group calls at a time.
            self.pipeline.needsLease = pipeline.quota != nil
            self.pipeline.requestsTopic = requestsTopic
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
    /// Another worker of the group calls.
    private var isStandby = false
    private var partitionCount = 0
    /// What is restored once no result of ours is on its way any more.
    private var awaited: TakeoverLookup.Subject?
    /// Since when the group has assigned nothing to us, not even no partitions; nil after an assignment.
    private var unassignedSince: Duration? = Clock.uptime
    /// Results that the producer's queue had no room for, in order.
    private var backlog: [(RequestID, StartResult)] = []
    private var refused: [(RequestID, KafkaError)] = []
    private var toStore: [Int32: Int64] = [:]
    private let commits: OffsetCommits
    private var clock = SteadyClock()
    /// What the core goes by; whoever talks to a server goes by the system's clock.
    private var now: Now { clock.now(Clock.now) }
    private var health = ClientHealth()
    private var rebuilding = Backoff()
    private var lag = Lag()
    private var readCheck: ReadCheck?
    /// Set when a partition has to be taken over anew, until all are revoked for it.
    private var mustRejoin = false
    /// The offset that each partition's next record has, where none is gone.
    private var expected: [Int32: Int64] = [:]
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
        commits = OffsetCommits(interval: min(.seconds(1), options.sessionTimeout / 6))
        narrator = Narrator(log: log)
        box = SnapshotBox(
            Snapshot(turnedAt: Clock.uptime, notReady: ["the broker has not answered yet"], metrics: Metrics()))
        do throws(KafkaError) {
            consumer = try Consumer(
                options.kafka, topic: options.requestsTopic, group: options.group,
                membership: options.pipeline.needsLease ? .exclusive(since: Clock.wall) : .sharing,
                sessionTimeout: options.sessionTimeout, longestValue: options.pipeline.maximumRequestBytes)
            producer = try Producer(options.kafka, topic: options.resultsTopic)
        } catch {
            throw WorkerFailure(error, servers: options.kafka.bootstrapServers)
        }
    }

    /// Answers the admin endpoint, on its own thread.
    package var router: AdminRouter { AdminRouter(box: box) }

    /// Works until a signal ends it; the exit code.
    package func run() throws(WorkerFailure) -> Int32 {
        defer { narrator.log.finish() }
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
            kafka: options.kafka, requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic,
            dedupeWindow: options.pipeline.dedupeWindow)
        var number: Int32?
        let partitions = try preflight.check(
            warn: { narrator.log.write(.warning, "check of the topics", [(.detail, .string($0))]) },
            isStopped: {
                number = number ?? nextSignal()
                show(["the broker has not answered yet"])
                return number != nil
            })
        partitionCount = partitions ?? 0
        return partitions != nil
    }

    /// How long nothing will happen by itself; at most a second, so that the admin endpoint sees the loop alive.
    private func patience() -> Duration {
        let now = Clock.uptime
        let hasWork =
            (consumerHasMore && takesRecords) || producerHasMore || restoreHasMore || !refused.isEmpty
        if hasWork { return .zero }
        var wake = isSnapshotStale ? max(now, snapshotAt + Self.snapshotInterval) : now + .seconds(1)
        if let deadline = pipeline.deadline(self.now) { wake = min(wake, deadline) }
        if let deadline = commits.deadline { wake = min(wake, deadline) }
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
        isSnapshotStale = isSnapshotStale || !ready.isEmpty
        takeAcknowledgements()
        takeAnswers()
        advanceRestore()
        takeRecords()
        if let deadline = pipeline.deadline(now), deadline <= Clock.uptime { hand(.tick) }
        retryPublishing()
        storeOffsets()
        rejoinIfNeeded()
        advanceCommits()
        checkAgain()
        advanceShutdown()
        show(notReady)
        narrator.log.flush()
    }

    // MARK: Facts in

    /// The one way into the core, and out of it.
    private func hand(_ fact: Fact) {
        let now = now
        for effect in pipeline.handle(fact, now: now) {
            switch effect {
            case .call(let call): hss.start(call, now: Clock.now)
            case .query(let query):
                narrator.metrics.reads += 1
                hss.status(query, now: Clock.now)
            case .publish(let request, let result): publish(request, result)
            case .store(let partition, let offset): toStore[partition] = offset
            case .takeAnew(let partition, let offset): takeAnew(partition, from: offset)
            case .pause(let partitions): consumer.pause(partitions)
            case .resume(let partitions): consumer.resume(partitions)
            case .release(let partition, let isLost, let handover):
                storeOffsets()
                if isLost || !commits.leave(partition, handover, now: now.uptime) { release([partition]) }
            case .drained:
                // The group is left by way of its coordinator, which may just be coming back: all the time there is left.
                if case .draining(let until) = stage { beginClosing(by: max(until, now.uptime + .seconds(5))) }
            case .log(let note): narrator.tell(note, call: pipeline.callName, now: now)
            }
        }
    }

    /// The next signal that ends the worker: SIGHUP does not.
    private func nextSignal() -> Int32? {
        while let number = signals.next() {
            guard Signals.isHangUp(number) else { return number }
            narrator.log.write(
                .info, "SIGHUP ignored: a changed credential file is read without it, other settings need a restart")
        }
        return nil
    }

    private func takeSignals() {
        while let number = nextSignal() {
            guard stage == .running else {
                narrator.log.write(.warning, "second signal: exiting at once", [(.signal, .integer(Int64(number)))])
                narrator.log.finish()
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
        endRestore()
    }

    private func takeAcknowledgements() {
        guard producerHasMore || producer.isBroken else { return }
        producerEvents.removeAll(keepingCapacity: true)
        producerHasMore = false
        for _ in 0..<Budget.acknowledgements {
            guard producer.next(into: &producerEvents) else { break }
            producerHasMore = true
        }
        for event in producerEvents {
            switch event {
            case .acknowledged(let request, _):
                health.worked(.results)
                rebuilding.worked()
                hand(.published(request))
            case .refused(let request, let error):
                if error.right != nil { report(error, .write, options.resultsTopic) }
                hand(
                    .publishFailed(request, reason: error.description, isTooLarge: error.isTooLarge))
            case .failed(let error):
                report(error, .write, options.resultsTopic)
                if endsTheStart(error) { return }
            case .log(let line): pass(line)
            }
        }
        if producer.isBroken && producer.pending == 0 && rebuilding.allows(Clock.uptime) { rebuildProducer() }
    }

    private func takeAnswers() {
        let now = Clock.now
        // The process may have stood still between a decision to call and its first byte.
        if !pipeline.isLeased(now.uptime) { hss.cancelUnsent("the lease was over before the call was sent") }
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
                health.worked(.requests)
                lookForLoss(record.position)
                hand(.received(record))
            case .reachedEnd(let position):
                health.worked(.requests)
                hand(.reachedEnd(position))
            case .assigned(let partitions):
                health.worked(.group)
                assigned(partitions)
            case .revoked(let partitions, let isLost): revoked(partitions, isLost: isLost)
            case .connection(let isConnected): health.sawConnection(isConnected, Clock.wall)
            case .failed(let error):
                report(error)
                if endsTheStart(error) { return }
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

    /// A right that is missing before there was any work: it is named, and the worker ends; true where that is so.
    private func endsTheStart(_ error: KafkaError) -> Bool {
        guard !hasBeenAssigned, stage == .running, error.right != .topic,
            let right = error.right(.read, topic: nil, group: options.group, options.kafka)
        else { return false }
        stage = .closed
        failure = right.failure
        return true
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
        let isCaller = consumer.holdsLease
        isStandby = options.pipeline.needsLease && !isCaller
        // With a lease all partitions there are, or none that are not ours already.
        let wanted: [Int32]? = isCaller ? (consumer.assignment.isEmpty ? nil : []) : isStandby ? [] : partitions
        guard wanted?.isEmpty != true, stage == .running else {
            accept([:], [:])
            return
        }
        let subject = TakeoverLookup.Subject(
            requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic, group: options.group,
            partitions: wanted,
            // The last results tell when the last call was made.
            since: now.wall + (.zero - max(options.pipeline.dedupeWindow, options.pipeline.quota?.window ?? .zero)))
        awaited = subject
        beginRestore()
    }

    /// Results that this worker wrote before it lost a partition, and that are still on their way, are waited for: a record
    /// whose result lands after the results were read would be answered again.
    private func beginRestore() {
        guard let subject = awaited, producer.pending == 0, backlog.isEmpty else { return }
        awaited = nil
        restore = LedgerRestore(subject, kafka: options.kafka)
        restoreHasMore = true
    }

    private func advanceRestore() {
        beginRestore()
        guard let restore else { return }
        do throws(KafkaError) { restoreHasMore = try restore.turn(budget: Budget.restored, now: now.wall) } catch {
            restoreHasMore = false
            report(error, .read, options.resultsTopic)
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
        endRestore()
    }

    private func endRestore() {
        if awaited != nil {
            awaited = nil
            return accept([:], [:])
        }
        guard let restore else { return }
        if let watched { poller.remove(watched) }
        (self.restore, watched, restoreHasMore) = (nil, nil, false)
        defer { restore.end() }
        // A drain admits nothing: what was given to this worker is accepted so that it can be given back.
        guard stage == .running else { return accept([:], [:]) }
        let starts = restore.takeovers.mapValues(\.start)
        expected = restore.takeovers.filter { $0.value.committed != nil }.mapValues(\.start)
        lag.took(restore.takeovers)
        commits.began(starts)
        // The log may have grown beyond the old offset by the time of the next takeover.
        commits.stored(restore.takeovers.filter(\.value.isBeyondEnd).mapValues(\.start), again: true)
        narrator.tell(restore, restore.ledgers)
        accept(starts, restore.ledgers)
        if consumer.holdsLease {
            let previous = restore.previousOwner
            commits.takeOver(from: previous, inherited: previous.inherited(now.wall, options.pipeline))
        }
    }

    private func accept(_ starts: [Int32: Int64], _ ledgers: [Int32: Ledger]) {
        attempt { () throws(KafkaError) in try consumer.accept(starts) }
        for partition in starts.keys.sorted() { hand(.assigned(partition, ledgers[partition] ?? Ledger())) }
        narrator.log.write(
            .info, isStandby ? "standing by: another worker of the group calls" : "partitions assigned",
            [(.partitions, .array(starts.keys.sorted().map { .integer(Int64($0)) }))])
        unassignedSince = nil
        if !hasBeenAssigned && stage == .running {
            hasBeenAssigned = true
            narrator.log.write(.info, "ready")
        }
    }

    /// Commits what is due, and takes what commits have shown.
    private func advanceCommits() {
        for outcome in commits.poll(consumer, now: Clock.uptime) {
            switch outcome {
            case .tookOver(let previous): hand(.tookOver(previous))
            case .acknowledged(let sentAt):
                health.worked(.group)
                if let sentAt { hand(.leased(until: sentAt + Self.lease(of: options.sessionTimeout))) }
            case .left(let partitions): release(partitions)
            case .failed(let error):
                narrator.metrics.commitFailures += 1
                if error.right != nil { report(error) }
                narrator.log.write(
                    .info, "offsets not committed: the next commit carries them", [(.error, .string(error.description))]
                )
            }
        }
    }

    /// For so long after an acknowledged commit was sent calls may be sent: the coordinator gives the place to another only when
    /// a whole session has passed since it received that commit. The tenth is for clocks that run at different speeds.
    static func lease(of sessionTimeout: Duration) -> Duration { sessionTimeout * 9 / 10 }

    /// Where a log went back, what was stored of the old one must not be committed over the new one.
    private func takeAnew(_ partition: Int32, from offset: Int64) {
        toStore[partition] = nil
        commits.stored([partition: offset], again: true)
        // Calls may be under way for records that are gone.
        if options.pipeline.needsLease {
            commits.inherited = PreviousOwner.unknown(idleSince: nil).inherited(now.wall, options.pipeline)
        }
        mustRejoin = true
    }

    private func rejoinIfNeeded() {
        guard mustRejoin, !isRebalancing, restore == nil, awaited == nil, stage == .running else { return }
        mustRejoin = false
        attempt { () throws(KafkaError) in try consumer.rejoin() }
    }

    private func revoked(_ partitions: [Int32], isLost: Bool) {
        isRebalancing = true
        unassignedSince = Clock.uptime
        if pipeline.stalePartitions.allSatisfy(partitions.contains) { mustRejoin = false }
        narrator.log.write(
            isLost ? .warning : .info, isLost ? "partitions lost" : "partitions revoked",
            [(.partitions, .array(partitions.sorted().map { .integer(Int64($0)) }))])
        // Whether the next owner has answered is not known here, and it will answer.
        if isLost { backlog.removeAll { partitions.contains($0.1.position.partition) } }
        let known = Set(pipeline.assignedPartitions)
        let unknown = partitions.filter { !known.contains($0) }
        if !unknown.isEmpty || partitions.isEmpty { release(unknown) }
        hand(
            .revoked(partitions, isLost: isLost, deadline: Clock.uptime + min(options.shutdownTimeout, .seconds(25))))
    }

    /// What is done of these partitions is stored before they go, so that giving them up commits it.
    private func release(_ partitions: [Int32]) {
        storeOffsets()
        for partition in partitions { commits.forget(partition) }
        attempt { () throws(KafkaError) in
            if try consumer.release(partitions) { isRebalancing = false }
        }
        // Events have piled up while the queue was left alone.
        consumerHasMore = true
    }

    private func storeOffsets() {
        guard !toStore.isEmpty else { return }
        commits.stored(toStore)
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
        rebuilding.tried(Clock.uptime)
        attempt { () throws(KafkaError) in
            let fresh = try Producer(options.kafka, topic: options.resultsTopic)
            poller.remove(producer.descriptor)
            var old: Producer? = producer
            producer = fresh
            Disposal.dispose(of: &old)
            poller.add(producer.descriptor, as: Source.producer.rawValue)
            if narrator.mayRepeat("producer", every: .seconds(60), Clock.uptime) {
                narrator.log.write(.warning, "producer recreated after a fatal error")
            }
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

    /// `operation` and `topic`: what was tried.
    private func report(_ error: KafkaError, _ operation: Right.Operation = .read, _ topic: String? = nil) {
        narrator.metrics.kafkaErrors += 1
        if let right = error.right(
            operation, topic: topic ?? options.requestsTopic, group: options.group, options.kafka)
        {
            let part: ClientHealth.Part = operation == .read ? (error.right == .group ? .group : .requests) : .results
            health.failed(part, right.description, Clock.wall)
            guard narrator.mayRepeat(right.description, every: .seconds(60), Clock.uptime) else { return }
            return narrator.log.write(.error, "a right is missing", [(.detail, .string(right.description))])
        }
        health.lost(error, Clock.wall)
        guard error.isFatal || narrator.mayRepeat("kafka \(error.name)", every: .seconds(10), Clock.uptime) else {
            return
        }
        narrator.log.write(
            error.isFatal || error.kind == .notPermitted ? .error : .warning, "Kafka client error",
            [(.error, .string(error.name)), (.detail, .string(error.text))])
    }

    /// A topic that may not be read is asked for again from time to time, and waiting for the group is told.
    private func checkAgain() {
        if let since = unassignedSince, stage == .running, restore == nil, Clock.uptime - since > .seconds(3),
            narrator.mayRepeat("unassigned", every: .seconds(30), Clock.uptime)
        {
            narrator.log.write(.info, "waiting for the group to assign partitions", [(.group, .string(options.group))])
        }
        if let mayRead = readCheck?.mayRead {
            readCheck = nil
            if mayRead { health.worked(.requests) }
        }
        guard health.isStanding(.requests), readCheck == nil,
            narrator.mayRepeat("read check", every: .seconds(10), Clock.uptime)
        else { return }
        readCheck = ReadCheck(
            options.kafka, topic: options.requestsTopic, partitions: partitionCount)
    }

    private func pass(_ line: LibraryLog) {
        // Passing a consumer's property to the producer, and the reverse, is how one list serves both.
        guard line.facility != "CONFWARN" else { return }
        let isRepeated = !narrator.mayRepeat("library \(line.facility)", every: .seconds(10), Clock.uptime)
        narrator.log.write(
            isRepeated ? .debug : line.level <= 3 ? .warning : line.level <= 5 ? .info : .debug, "Kafka client log",
            [(.facility, .string(line.facility)), (.detail, .string(line.text))])
    }

    private var notes: [String] {
        let projects = pipeline.refusedProjects
        guard let first = projects.first else { return [] }
        return [
            "\(projects.count) projects are refused alone, their requests wait, such as \(String(decoding: JSON.string(first).bytes, as: UTF8.self).escapingDeceptive)"
        ]
    }

    private var notReady: [String] {
        var reasons: [String] = []
        if restore != nil || awaited != nil {
            let cause = restore?.failure.map { ": \($0.description)" } ?? ""
            reasons.append("results are being read before work\(cause)")
        } else if unassignedSince != nil {
            reasons.append("no partition is assigned yet")
        }
        if stage != .running { reasons.append("stopping") }
        if case .closed = pipeline.gateState {
            reasons.append("the credential was refused, calls wait: \(narrator.gateRemedy)")
        }
        let (now, held) = (Clock.now, pipeline.heldUntil)
        if !isStandby, held > now.uptime {
            let wait = held - now.uptime
            reasons.append(
                "no call before \(now.wall + wait) (in \(Int(wait.seconds.rounded(.up))) s): the quota is held")
        }
        if options.pipeline.needsLease, !isStandby, !pipeline.isLeased(now.uptime), hasBeenAssigned {
            reasons.append("the group has not confirmed lately that this worker calls")
        }
        reasons += health.reasons
        if let since = pipeline.unansweredSince {
            reasons.append("HSS does not answer, since \(Clock.wall + (since - Clock.uptime))")
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
        narrator.metrics.logLinesDropped = narrator.log.dropped
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
        narrator.metrics.isActive = !pipeline.assignedPartitions.isEmpty
        narrator.metrics.assigned = pipeline.assignedPartitions.count
        narrator.metrics.lag = [:]
        for partition in pipeline.assignedPartitions {
            narrator.metrics.lag[partition] = lag.records(
                partition, committable: pipeline.committable(partition), end: consumer.knownEnd(partition))
        }
        box.set(
            Snapshot(
                turnedAt: now, notReady: reasons(), isStandby: isStandby, notes: notes, metrics: narrator.metrics))
    }
}
