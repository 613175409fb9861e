package import Core
package import HSS
package import Kafka

/// The shell around the core: one thread, one place to wait, one way into the core. Kafka's queues, the HTTP client,
/// signals and the core's next deadline meet in `turn`. Each has a budget there, and nothing in it blocks.
package final class Worker {
    package struct Options {
        package var kafka: ClientConfiguration
        package var requestsTopic: String
        package var resultsTopic: String
        package var group: String
        package var pipeline: Pipeline.Configuration
        package var shutdownTimeout: Duration
        /// How long the group waits for a silent member.
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
            // With a quota, one worker of the group makes calls at a time.
            self.pipeline.needsLease = pipeline.quota != nil
            self.pipeline.requestsTopic = requestsTopic
        }
    }

    private enum Source: Int32 { case consumer, producer, http, signals, restore }

    private let options: Options
    private let poller = Poller()
    private let signals = Signals()
    private let hss: HSSClient
    private let status: StatusReporter
    private let ownership: PartitionOwnership
    private let publisher: Publisher
    private var pipeline: Pipeline
    private var shutdown = Shutdown()
    private var failure: WorkerFailure?
    private var clock = SteadyClock()
    /// The time that the core uses. Communication with servers uses the system clock.
    private var now: Now { clock.now(Clock.now) }
    /// The descriptors that the poller watches; some change.
    private var watched: [Source: Int32] = [:]
    private static let recordsPerTurn = 512
    /// Records that were fetched in this turn and not admitted yet.
    private var fetched: [Record] = []
    private var fetchedBytes = 0

    package init(_ options: Options, hss: HSSClient, log: Log) throws(WorkerFailure) {
        self.options = options
        self.hss = hss
        pipeline = Pipeline(options.pipeline)
        status = StatusReporter(options, log)
        do throws(KafkaError) {
            let consumer = try Consumer(
                options.kafka, topic: options.requestsTopic, group: options.group,
                membership: options.pipeline.needsLease ? .exclusive(since: Clock.wall) : .sharing,
                sessionTimeout: options.sessionTimeout, longestValue: options.pipeline.maximumRequestBytes)
            ownership = PartitionOwnership(options, consumer, status)
            publisher = try Publisher(
                options.kafka, topic: options.resultsTopic, requestsTopic: options.requestsTopic, status)
        } catch {
            throw WorkerFailure(error, servers: options.kafka.bootstrapServers)
        }
    }

    /// Answers the admin endpoint's requests, on the endpoint's thread.
    package var router: AdminRouter { status.router }

    /// Works until a signal ends the worker. Returns the exit code.
    package func run() throws(WorkerFailure) -> Int32 {
        defer { status.finish() }
        status.log(
            .info, "starting",
            [
                (.topic, .string(options.requestsTopic)), (.group, .string(options.group)),
                (.address, .string(options.kafka.bootstrapServers)),
            ])
        status.flush()
        guard try isFitToStart() else { return 0 }
        do throws(KafkaError) { try ownership.subscribe() } catch {
            throw WorkerFailure(error, servers: options.kafka.bootstrapServers)
        }
        watch(.consumer, ownership.consumerDescriptor)
        watch(.producer, publisher.descriptor)
        watch(.http, hss.descriptor)
        watch(.signals, signals.descriptor)
        var ready: [Int32] = []
        while !shutdown.isClosed {
            poller.wait(idleTime(), into: &ready)
            turn(ready)
        }
        if let failure { throw failure }
        status.log(.info, "stopped", [(.code, .integer(Int64(shutdown.exitCode)))])
        return shutdown.exitCode
    }

    /// Returns false if a signal came before the cluster answered.
    private func isFitToStart() throws(WorkerFailure) -> Bool {
        let preflight = Preflight(
            kafka: options.kafka, requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic,
            dedupeWindow: options.pipeline.dedupeWindow)
        var number: Int32?
        let partitions = try preflight.check(
            warn: { status.log(.warning, "topic check found a problem", [(.detail, .string($0))]) },
            isStopped: {
                number = number ?? nextSignal()
                status.showStarting()
                return number != nil
            })
        status.checked(partitions: partitions ?? 0)
        return partitions != nil
    }

    /// How long the loop can wait before it has work.
    private func idleTime() -> Duration {
        let (now, uptime) = (now, Clock.uptime)
        if ownership.hasEvents && takesEvents { return .zero }
        var wake = status.deadline(uptime)
        for deadline in [
            pipeline.deadline(now), ownership.deadline(uptime), publisher.deadline(uptime), hss.deadline,
            shutdown.isWorking ? nil : uptime + .milliseconds(10),
        ] { if let deadline { wake = min(wake, deadline) } }
        return max(.zero, wake - uptime)
    }

    /// Whether to read the consumer's queue. It is not read while a rebalance waits for an answer.
    private var takesEvents: Bool {
        (pipeline.wantsRecords(beside: fetched.count, bytes: fetchedBytes) || pipeline.isPaused || !shutdown.isWorking)
            && !ownership.isRebalancing
    }

    /// Handles results and answers before new records, because they make room for new records.
    private func turn(_ ready: [Int32]) {
        for number in ready {
            switch Source(rawValue: number) {
            case .consumer: ownership.consumerBecameReadable()
            case .producer: publisher.becameReadable()
            case .signals: takeSignals()
            case .restore: ownership.restoreBecameReadable()
            case .http, nil: break
            }
        }
        if !ready.isEmpty { status.changed() }
        takeAcknowledgements()
        takeAnswers()
        takeEvents()
        if let deadline = pipeline.deadline(now), deadline <= Clock.uptime { apply(.tick) }
        apply(ownership.poll(now, isIdle: publisher.isIdle, isRunning: shutdown.isRunning))
        if shutdown.isRunning { ownership.sayWhetherAssigned(Clock.uptime) }
        status.checkRights()
        advanceShutdown()
        watch(.producer, publisher.descriptor)
        watch(.restore, ownership.restoreDescriptor)
        // Asked first, because passing the pipeline copies it.
        if status.mayShow { status.show(pipeline, state) }
        status.flush()
    }

    /// Replaces the watched descriptor of this source. Nil stops watching it.
    private func watch(_ source: Source, _ descriptor: Int32?) {
        guard watched[source] != descriptor else { return }
        if let old = watched[source] { poller.remove(old) }
        if let descriptor { poller.add(descriptor, as: source.rawValue) }
        watched[source] = descriptor
    }

    // MARK: Events in, effects out

    /// The only way into the core, and out of it.
    private func apply(_ event: Event) {
        let now = now
        for effect in pipeline.handle(event, now: now) {
            switch effect {
            case .call(let call): hss.start(call, now: Clock.now)
            case .query(let query):
                status.readSent()
                hss.status(query, now: Clock.now)
            case .publish(let request, let result): publisher.publish(request, result)
            case .store(let partition, let offset): ownership.store(partition, offset)
            case .takeAnew(let partition, let offset): ownership.takeAnew(partition, from: offset, now)
            case .pause(let partitions): ownership.pause(partitions)
            case .resume(let partitions): ownership.resume(partitions)
            case .release(let partition, let isLost, let handover):
                ownership.release(partition, isLost: isLost, handover, now.uptime)
            case .drained: if shutdown.drained(now.uptime) { ownership.beginClose() }
            case .log(let note): status.record(note, call: pipeline.callName, now)
            }
        }
    }

    private func apply(_ events: [Event]) { for event in events { apply(event) } }

    private func takeAcknowledgements() {
        for outcome in publisher.poll(Clock.uptime) {
            switch outcome {
            case .acknowledged(let request):
                status.worked(.results)
                apply(.published(request))
            case .refused(let request, let error):
                if error.right != nil { status.report(error, .write, options.resultsTopic) }
                apply(.publishFailed(request, reason: error.description, isTooLarge: error.isTooLarge))
            case .failed(let error):
                status.report(error, .write, options.resultsTopic)
                if endsTheStart(error) { return }
            }
        }
    }

    private func takeAnswers() {
        let now = Clock.now
        // The process may have been suspended between a decision to call and the call's first byte.
        if !pipeline.isLeased(now.uptime) { hss.cancelUnsent("the lease expired before the call was sent") }
        for (call, reply) in hss.turn(now: now) { apply(.answered(call, reply)) }
        if hss.credentialsChanged(now: now) {
            status.log(.info, "credential file changed: trying the new one")
            apply(.credentialChanged)
        }
    }

    private func takeEvents() {
        defer { admitFetched() }
        for _ in 0..<Self.recordsPerTurn {
            guard takesEvents, let event = ownership.next() else { return }
            if case .record(let record) = event {
                fetched.append(record)
                fetchedBytes += record.size
                continue
            }
            admitFetched()
            switch event {
            case .record: break
            case .reachedEnd(let position):
                status.worked(.requests)
                apply(.reachedEnd(position))
            case .assigned(let partitions):
                status.worked(.group)
                apply(ownership.assigned(partitions, isRunning: shutdown.isRunning, now))
            case .revoked(let partitions, let isLost):
                // This worker cannot know whether the next owner has answered, and the next owner will answer.
                if isLost { publisher.drop(partitions) }
                apply(ownership.revoked(partitions, isLost: isLost, pipeline))
            case .connection(let isConnected): status.sawConnection(isConnected)
            case .failed(let error):
                status.report(error)
                if endsTheStart(error) { return }
                if error.isFatal { return end(because: error) }
            case .log(let line): status.pass(line)
            }
        }
    }

    private func admitFetched() {
        guard !fetched.isEmpty else { return }
        status.worked(.requests)
        for record in fetched { ownership.received(record.position) }
        apply(.received(fetched))
        fetched.removeAll(keepingCapacity: true)
        fetchedBytes = 0
    }

    private var state: StatusReporter.State {
        var state = StatusReporter.State()
        state.isStopping = !shutdown.isRunning
        state.isStandby = ownership.isStandby
        state.waitsFor = ownership.waitsFor
        state.isConfirmed =
            !options.pipeline.needsLease || ownership.isStandby || pipeline.isLeased(Clock.uptime)
            || !ownership.hasBeenAssigned
        state.hasBacklog = publisher.hasBacklog
        for partition in pipeline.assignedPartitions {
            state.lag[partition] = ownership.lag(partition, committable: pipeline.committable(partition))
        }
        return state
    }

    // MARK: Shutdown

    /// The next signal that ends the worker. SIGHUP does not end it.
    private func nextSignal() -> Int32? {
        while let number = signals.next() {
            guard Signals.isHangUp(number) else { return number }
            status.log(
                .info, "SIGHUP ignored: credential files are reloaded automatically, other settings need a restart")
        }
        return nil
    }

    private func takeSignals() {
        while let number = nextSignal() {
            guard shutdown.isRunning else {
                status.log(.warning, "second signal: exiting at once", [(.signal, .integer(Int64(number)))])
                status.finish()
                ProcessControl.exitAtOnce(128 + number)
            }
            status.log(
                .info, "stopping: finishing calls in flight",
                [(.signal, .integer(Int64(number))), (.count, .integer(Int64(pipeline.openCount)))])
            shutdown.drain(until: Clock.uptime + options.shutdownTimeout)
            apply(.drain)
            apply(ownership.endRestore(isRunning: false, now))
        }
    }

    private func advanceShutdown() {
        let now = Clock.uptime
        switch shutdown.poll(now, hasLeftGroup: ownership.hasLeftGroup()) {
        case .nothing: break
        case .drainTimedOut:
            status.log(
                .warning, "shutdown timeout reached: open requests are left to the next owner",
                [(.count, .integer(Int64(pipeline.openCount)))])
            apply(.revoked(pipeline.assignedPartitions, isLost: true, deadline: now))
            // A result that is still being written could reach its topic after the next owner has read the topic. So
            // the session lapses first. By then the result is written, or it never will be.
            guard publisher.isIdle else { return shutdown.closed() }
            shutdown.close(by: now + .seconds(2))
            ownership.beginClose()
        case .closeTimedOut:
            status.log(.warning, "could not leave the consumer group in time: the session will expire")
        }
    }

    /// Ends the worker with an error that names the missing right, if the right was missing before any work. Returns
    /// true if the worker ends.
    private func endsTheStart(_ error: KafkaError) -> Bool {
        guard !ownership.hasBeenAssigned, shutdown.isRunning, error.right != .topic,
            let right = error.right(.read, topic: nil, group: options.group, options.kafka)
        else { return false }
        shutdown.closed()
        failure = right.failure
        return true
    }

    /// Ends the worker because the consumer is permanently unusable, for example because another member has its
    /// `group.instance.id`. Open requests are left to the next owner.
    private func end(because error: KafkaError) {
        apply(.revoked(pipeline.assignedPartitions, isLost: true, deadline: Clock.uptime))
        shutdown.closed()
        failure = WorkerFailure(error, servers: options.kafka.bootstrapServers)
    }
}
