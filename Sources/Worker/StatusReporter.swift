internal import Checking
internal import Core
internal import Kafka

/// Reports to the operator: the log, the metrics, and why the worker is not ready.
final class StatusReporter {
    /// What the worker's parts report for a snapshot.
    struct State {
        var isStopping = false
        var isStandby = false
        /// Why the worker has no work from the group yet; nil if it has work.
        var waitsFor: String?
        /// Whether the group has recently confirmed that this worker makes the calls. True if no confirmation is
        /// needed.
        var isConfirmed = true
        var isRestoring = false
        var hasBacklog = false
        var lag: [Int32: Int64] = [:]
    }

    private let options: Worker.Options
    private var telemetry: Telemetry
    private var health = ClientHealth()
    /// Why the policy file as it is now is not in force, and since when; nil where it is.
    private var policyFault: (reason: String, since: Timestamp)?
    private var readCheck: ReadCheck?
    private var requestPartitions = 0
    private let box: SnapshotBox
    private var shownAt: Uptime = .zero
    private var agesAt: Uptime = .zero
    /// Whether something may have changed since the last snapshot.
    private var isStale = true
    private static let interval: Duration = .milliseconds(200)

    init(_ options: Worker.Options, _ log: Log) {
        self.options = options
        telemetry = Telemetry(log: log)
        box = SnapshotBox(Self.starting(telemetry.metrics, Clock.uptime))
    }

    var router: AdminRouter { AdminRouter(box: box) }

    /// When the next snapshot is due. It is due within 1 s, so that the admin endpoint sees that the loop is alive.
    func deadline(_ now: Uptime) -> Uptime { isStale ? max(now, shownAt + Self.interval) : now + .seconds(1) }

    func changed() { isStale = true }

    // MARK: Log

    func log(_ level: Log.Level, _ message: StaticString, _ fields: [(LogKey, JSON)] = []) {
        telemetry.log.write(level, message, fields)
    }

    /// Logs the message at most once per `pause`.
    func log(
        _ level: Log.Level, _ message: StaticString, _ fields: [(LogKey, JSON)] = [], atMostEvery pause: Duration,
        as name: String
    ) {
        if telemetry.mayRepeat(name, every: pause, Clock.uptime) { log(level, message, fields) }
    }

    func flush() { telemetry.log.flush() }
    func finish() { telemetry.log.finish() }

    /// Records what the core did or found.
    func record(_ event: LogEvent, call: (CallID) -> String, _ now: Now) {
        telemetry.record(event, call: call, now: now)
    }
    func record(_ restore: LedgerRestore) { telemetry.record(restore, restore.ledgers) }
    func lost(_ partition: Int32, _ offsets: Range<Int64>) { telemetry.lost(partition, offsets) }
    func restored(_ count: Int) { telemetry.metrics.restored = count }
    func readSent() { telemetry.metrics.reads += 1 }
    func deadLetterWritten() { telemetry.metrics.deadLetters += 1 }

    func commitFailed(_ error: KafkaError) {
        telemetry.metrics.commitFailures += 1
        if error.right != nil { report(error) }
        log(.info, "offset commit failed: retrying with the next one", [(.error, .string(error.description))])
    }

    /// A line of librdkafka's log.
    func pass(_ line: LibraryLog) {
        // One property list serves both clients, so the producer also gets consumer properties, and the reverse.
        guard line.facility != "CONFWARN" else { return }
        let isRepeated = !telemetry.mayRepeat("library \(line.facility)", every: .seconds(10), Clock.uptime)
        log(
            isRepeated ? .debug : line.level <= 3 ? .warning : line.level <= 5 ? .info : .debug, "Kafka client log",
            [(.facility, .string(line.facility)), (.detail, .string(line.text))])
    }

    // MARK: Policy

    func policyRead(isNew: Bool) {
        changed()
        let wasRefused = policyFault != nil
        policyFault = nil
        telemetry.metrics.isPolicyCurrent = true
        if isNew || wasRefused { log(.info, "policy file read: it is in force") }
    }

    func policyRefused(_ reason: String) {
        changed()
        policyFault = (reason, policyFault?.since ?? Clock.wall)
        telemetry.metrics.isPolicyCurrent = false
        log(.error, "policy file not taken: the old policy stays in force", [(.detail, .string(reason))])
    }

    // MARK: Health of the Kafka clients

    func worked(_ part: ClientHealth.Part) { health.worked(part) }
    func sawConnection(_ isConnected: Bool) { health.sawConnection(isConnected, Clock.wall) }
    func checked(partitions: Int) { requestPartitions = partitions }

    func attempt(_ body: () throws(KafkaError) -> Void) {
        do throws(KafkaError) { try body() } catch { report(error) }
    }

    /// `operation` and `topic` name what was attempted.
    func report(_ error: KafkaError, _ operation: Right.Operation = .read, _ topic: String? = nil) {
        telemetry.metrics.kafkaErrors += 1
        if let right = error.right(
            operation, topic: topic ?? options.requestsTopic, group: options.group, options.kafka)
        {
            let part: ClientHealth.Part = operation == .read ? (error.right == .group ? .group : .requests) : .results
            health.failed(part, right.description, Clock.wall)
            return log(
                .error, "missing Kafka permission", [(.detail, .string(right.description))], atMostEvery: .seconds(60),
                as: right.description)
        }
        health.lost(error, Clock.wall)
        guard error.isFatal || telemetry.mayRepeat("kafka \(error.name)", every: .seconds(10), Clock.uptime) else {
            return
        }
        log(
            error.isFatal || error.kind == .notPermitted ? .error : .warning, "Kafka client error",
            [(.error, .string(error.name)), (.detail, .string(error.text))])
    }

    /// Checks again from time to time whether an unreadable requests topic has become readable.
    func checkRights() {
        if let mayRead = readCheck?.mayRead {
            readCheck = nil
            if mayRead { health.worked(.requests) }
        }
        guard health.isStanding(.requests), readCheck == nil,
            telemetry.mayRepeat("read check", every: .seconds(10), Clock.uptime)
        else { return }
        readCheck = ReadCheck(options.kafka, topic: options.requestsTopic, partitions: requestPartitions)
    }

    // MARK: Snapshot for the admin endpoint

    /// Whether the next snapshot may be passed on: at most one every 200 ms.
    var mayShow: Bool { Clock.uptime - shownAt >= Self.interval }

    /// Passes on a snapshot from before the broker has answered.
    func showStarting() { box.set(Self.starting(telemetry.metrics, Clock.uptime)) }

    private static func starting(_ metrics: Metrics, _ now: Uptime) -> Snapshot {
        Snapshot(turnedAt: now, notReady: ["the broker has not answered yet"], metrics: metrics)
    }

    /// Passes a snapshot of the loop to the admin endpoint.
    func show(_ pipeline: Pipeline, _ state: State) {
        let now = Clock.uptime
        (shownAt, isStale) = (now, false)
        measure(pipeline, state, now)
        box.offer(pipeline, Clock.now)
        box.set(
            Snapshot(
                turnedAt: now, notReady: notReady(pipeline, state), isStandby: state.isStandby, notes: notes(pipeline),
                metrics: telemetry.metrics))
    }

    private func measure(_ pipeline: Pipeline, _ state: State, _ now: Uptime) {
        telemetry.metrics.logLinesDropped = telemetry.log.dropped
        telemetry.metrics.open = pipeline.openCount
        telemetry.metrics.openBytes = pipeline.openBytes
        telemetry.metrics.waiting = pipeline.waitingCount
        telemetry.metrics.inFlight = pipeline.inFlight
        telemetry.metrics.freeSlots = pipeline.freeSlots(now)
        telemetry.metrics.ledgerKeys = pipeline.ledgerCount
        telemetry.metrics.refusedProjects = pipeline.refusedProjects.count
        telemetry.metrics.isRestoring = state.isRestoring
        // This looks at every line, so it is done from time to time.
        if now - agesAt >= .seconds(5) {
            agesAt = now
            telemetry.metrics.oldestWaiting = pipeline.oldestWaiting(now)
        }
        telemetry.metrics.isPaused = !pipeline.wantsRecords()
        telemetry.metrics.unwrittenFor = pipeline.unwrittenFor(now)
        if case .closed = pipeline.gateState {
            telemetry.metrics.isGateOpen = false
        } else {
            telemetry.metrics.isGateOpen = true
        }
        telemetry.metrics.isActive = !pipeline.assignedPartitions.isEmpty
        telemetry.metrics.assigned = pipeline.assignedPartitions.count
        telemetry.metrics.lag = state.lag
        if pipeline.areResultsStuck(now) {
            log(
                .error, "results cannot be written: fetching is paused",
                [(.topic, .string(options.resultsTopic)), (.count, .integer(Int64(pipeline.openCount)))],
                atMostEvery: .seconds(10), as: "unwritten")
        }
    }

    private func notReady(_ pipeline: Pipeline, _ state: State) -> [String] {
        var reasons: [String] = []
        if let cause = state.waitsFor { reasons.append(cause) }
        if state.isStopping { reasons.append("stopping") }
        if case .closed = pipeline.gateState {
            reasons.append("the credential was refused, calls wait: \(telemetry.gateRemedy)")
        }
        let (now, held) = (Clock.now, pipeline.heldUntil)
        if !state.isStandby, held > now.uptime {
            let wait = held - now.uptime
            reasons.append(
                "waiting for quota: no call before \(now.wall + wait) (in \(Int(wait.seconds.rounded(.up))) s)")
        }
        if !state.isConfirmed { reasons.append("no valid lease: the group has not acknowledged a recent commit") }
        reasons += health.reasons
        if let since = pipeline.unansweredSince {
            reasons.append("HSS unavailable since \(now.wall + (since - now.uptime))")
        }
        if pipeline.hasUnpublished || state.hasBacklog || pipeline.areResultsStuck(now.uptime) {
            reasons.append("results cannot be written: retrying")
        }
        return reasons
    }

    private func notes(_ pipeline: Pipeline) -> [String] {
        var notes: [String] = []
        if let policyFault {
            // The reason can quote the file, which may hold any character.
            let reason = policyFault.reason.escapingDeceptive.replacing("\n", with: " ")
            notes.append("policy file not taken since \(policyFault.since), the old policy stays in force: \(reason)")
        }
        for (maintenance, until) in pipeline.policy.activeMaintenance(at: Clock.wall) {
            let what = maintenance.allowsCritical ? "all but critical requests" : "requests"
            notes.append("maintenance \(maintenance.name) until \(until): \(what) that it matches wait")
        }
        let projects = pipeline.refusedProjects
        if let first = projects.first {
            let name = String(decoding: JSON.string(first).bytes, as: UTF8.self).escapingDeceptive
            notes.append("credential refused for \(projects.count) projects, such as \(name): only their requests wait")
        }
        return notes
    }
}
