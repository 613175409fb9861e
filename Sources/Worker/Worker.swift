internal import Core
package import HSS
internal import Kafka

/// The shell around the core: one thread, one place to wait, one way into the core. Kafka's queues, the HTTP client,
/// signals and the core's next deadline meet in `turn`. Each has a budget there, and nothing in it blocks.
package final class Worker {
    private enum Source: Int32 { case consumer, producer, http, signals, restore }

    let options: Options
    private let poller = Poller()
    let signals = Signals()
    let hss: HSSClient
    let status: StatusReporter
    let ownership: PartitionOwnership
    let publisher: Publisher
    var pipeline: Pipeline
    /// Not the pipeline's own function, which would copy the pipeline for each log line.
    private let callName: (CallID) -> String
    private(set) var policyWatcher: PolicyWatcher?
    /// Whether the policy file is to be read again, although it did not change.
    var rereadsPolicy = false
    var shutdown = Shutdown()
    var failure: WorkerFailure?
    private var clock = SteadyClock()
    /// The time that the core uses. Communication with servers uses the system clock.
    var now: Now { clock.now(Clock.now) }
    /// The descriptors that the poller watches; some change.
    private var watched: [Source: Int32] = [:]
    static let recordsPerTurn = 512
    /// Records that were fetched in this turn and not admitted yet.
    var fetched: [Record] = []
    var fetchedBytes = 0

    package init(_ options: Options, hss: HSSClient, log: Log) throws(WorkerFailure) {
        self.options = options
        self.hss = hss
        pipeline = Pipeline(options.pipeline)
        callName = { [prefix = options.pipeline.callPrefix] in Pipeline.callName($0, prefix) }
        status = StatusReporter(options, log)
        policyWatcher = options.policy.flatMap(PolicyWatcher.init)
        do throws(KafkaError) {
            let consumer = try Consumer(
                options.kafka, topic: options.requestsTopic, group: options.group,
                membership: options.pipeline.needsLease ? .exclusive(since: Clock.wall) : .sharing,
                sessionTimeout: options.sessionTimeout, longestValue: options.pipeline.maximumRequestBytes)
            ownership = PartitionOwnership(options, consumer, status)
            publisher = try Publisher(
                options.kafka, topic: options.resultsTopic, deadLetterTopic: options.deadLetterTopic,
                requestsTopic: options.requestsTopic, status)
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
    var takesEvents: Bool {
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
        takePolicy()
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

    /// Takes a new policy. A broken file leaves the old one in force.
    private func takePolicy() {
        let forced = rereadsPolicy
        rereadsPolicy = false
        switch policyWatcher?.refresh(now: Clock.uptime, forced: forced) {
        case .success(let policy)?:
            let isNew = policy != pipeline.policy
            if isNew { apply(.policyChanged(policy)) }
            status.policyRead(isNew: isNew || forced)
        case .failure(let error)?: status.policyRefused(error.reason)
        case nil: break
        }
    }

    // MARK: Events in, effects out

    /// The only way into the core, and out of it.
    func apply(_ event: Event) {
        let now = now
        for effect in pipeline.handle(event, now: now) {
            switch effect {
            case .call(let call): hss.start(call, now: Clock.now)
            case .query(let query):
                status.readSent()
                hss.status(query, now: Clock.now)
            case .publish(let request, let result, let letter): publisher.publish(request, result, letter)
            case .store(let partition, let offset): ownership.store(partition, offset)
            case .takeAnew(let partition, let offset): ownership.takeAnew(partition, from: offset, now)
            case .pause(let partitions): ownership.pause(partitions)
            case .resume(let partitions): ownership.resume(partitions)
            case .release(let partition, let isLost, let handover):
                ownership.release(partition, isLost: isLost, handover, now.uptime)
            case .drained: if shutdown.drained(now.uptime) { ownership.beginClose() }
            case .log(let note): status.record(note, call: callName, now)
            }
        }
    }

    func apply(_ events: [Event]) { for event in events { apply(event) } }

    private var state: StatusReporter.State {
        var state = StatusReporter.State()
        state.isStopping = !shutdown.isRunning
        state.isStandby = ownership.isStandby
        state.waitsFor = ownership.waitsFor
        state.isRestoring = ownership.isRestoring
        state.isConfirmed =
            !options.pipeline.needsLease || ownership.isStandby || pipeline.isLeased(Clock.uptime)
            || !ownership.hasBeenAssigned
        state.hasBacklog = publisher.hasBacklog
        for partition in pipeline.assignedPartitions {
            state.lag[partition] = ownership.lag(partition, committable: pipeline.committable(partition))
        }
        return state
    }
}
