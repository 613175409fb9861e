internal import Core
internal import Kafka

/// Turns the reports of the core and the clients into log lines and metrics.
struct Telemetry {
    var log: Log
    var metrics = Metrics()
    /// How to fix the credential that was last refused.
    private(set) var gateRemedy = ""
    private var lastSaid: [String: Uptime] = [:]

    init(log: Log) { self.log = log }

    mutating func record(_ event: LogEvent, call name: (CallID) -> String, now: Now) {
        switch event {
        case .ended(let result, let took): ended(result, took, now)
        case .called(let call, let requests):
            metrics.callsSent += 1
            metrics.requestsCalled += requests
            metrics.hostsCalled += call.hostIDs.count
            log.write(
                .debug, "call sent",
                [
                    (.call, .string(name(call.id))), (.project, .string(call.projectID)),
                    (.plugin, .string(call.pluginCode)), (.requests, .integer(Int64(requests))),
                    (.hosts, .integer(Int64(call.hostIDs.count))),
                ])
        case .callSucceeded(let call, let latency, let requests, let hosts):
            metrics.calls["succeeded", default: 0] += 1
            metrics.callSeconds.observe(latency.seconds)
            log.write(
                .info, "call succeeded",
                [
                    (.call, .string(name(call))), (.latency, .integer(latency.milliseconds)),
                    (.requests, .integer(Int64(requests))), (.hosts, .integer(Int64(hosts))),
                ])
        case .callFailed(let call, let failure, let nextIn, let requests):
            metrics.calls[failure.category.rawValue, default: 0] += 1
            log.write(
                .warning, "call failed",
                [(.call, .string(name(call))), (.requests, .integer(Int64(requests)))] + Self.fields(failure)
                    + (nextIn.map { [(.nextIn, .integer($0.milliseconds))] } ?? []))
        case .unknownCode(let code, let detail):
            metrics.unknownCodes += 1
            guard mayRepeat("code \(code)", every: .seconds(60), now.uptime) else { return }
            log.write(
                .warning, "unknown HSS error code: handled by its HTTP status",
                [(.code, .string(code)), (.detail, .string(detail ?? ""))])
        case .throttled(let limit, let until):
            guard mayRepeat("throttled", every: .seconds(10), now.uptime) else { return }
            let named: [(LogKey, JSON)] =
                limit.map { [(.limit, .integer(Int64($0.calls))), (.window, .integer($0.window.milliseconds))] } ?? []
            let wait: [(LogKey, JSON)] = until.map { [(.nextIn, .integer(($0 - now.uptime).milliseconds))] } ?? []
            log.write(.warning, "throttled by the server: calls wait", named + wait)
        case .limitLearned(let limit):
            log.write(
                .warning, "server named a different rate limit: using it",
                [(.limit, .integer(Int64(limit.calls))), (.window, .integer(limit.window.milliseconds))])
        case .tookOver(let previous, let until):
            let state =
                switch previous {
                case .none: "none"
                case .handedOver: "handed over"
                case .unknown: "gone without a handover"
                }
            let wait: [(LogKey, JSON)] = until.map { [(.nextIn, .integer(($0 - now.uptime).milliseconds))] } ?? []
            log.write(.info, "this worker is now the caller", [(.previous, .string(state))] + wait)
        case .ceilingLowered(let project, let plugin, let hosts):
            log.write(
                .warning, "call refused for its size: lowering hosts per call",
                [(.project, .string(project)), (.plugin, .string(plugin)), (.hosts, .integer(Int64(hosts)))])
        case .gateClosed(let failure, let serverDate, let until):
            let skew = serverDate.map { (now.wall - $0).seconds } ?? 0
            let remedy =
                abs(skew) > 300
                ? "this machine's clock differs from the server's: correct it"
                : "check the credential; a changed credential file is tried at once"
            gateRemedy = remedy
            log.write(
                .error, "credential refused: calls stop, requests wait",
                Self.fields(failure) + [
                    (.skew, .integer(Int64(skew))), (.triedIn, .integer((until - now.uptime).milliseconds)),
                    (.remedy, .string(remedy)),
                ])
        case .gateOpened: log.write(.info, "credential accepted")
        case .projectRefused(let project, let until):
            log.write(
                .error, "credential refused for one project: only its requests wait",
                [
                    (.project, .string(project)), (.triedIn, .integer((until - now.uptime).milliseconds)),
                    (.remedy, .string("give the credential's user access to the project")),
                ])
        case .projectAccepted(let project):
            log.write(.info, "credential accepted for the project again", [(.project, .string(project))])
        case .publishFailed(let position, let reason):
            metrics.publishFailures += 1
            guard mayRepeat("publish", every: .seconds(10), now.uptime) else { return }
            log.write(
                .error, "result not written to the results topic: retrying",
                [(.position, .string(position.description)), (.reason, .string(reason))])
        case .full(let count, let bytes):
            log.write(
                .info, "intake paused: too many open requests or unwritten results",
                [(.count, .integer(Int64(count))), (.bytes, .integer(Int64(bytes)))])
        case .room: log.write(.info, "intake resumed")
        case .leftBehind(let partition, let count):
            metrics.leftBehind += count
            log.write(
                .info, "open requests left to the next owner",
                [(.partition, .integer(Int64(partition))), (.count, .integer(Int64(count)))])
        case .skipped(let position):
            metrics.skippedRecords += 1
            guard mayRepeat("skipped", every: .seconds(10), now.uptime) else { return }
            log.write(
                .info, "record skipped: an earlier run already wrote its result",
                [
                    (.position, .string(position.description)), (.count, .integer(Int64(metrics.skippedRecords))),
                ])
        case .anothersResult(let position):
            metrics.identityConflicts += 1
            guard mayRepeat("identity", every: .seconds(10), now.uptime) else { return }
            log.write(
                .warning, "result at this offset belongs to another record: processing the record",
                [
                    (.position, .string(position.description)), (.count, .integer(Int64(metrics.identityConflicts))),
                ])
        case .wentBack(let position, let highest, let open):
            metrics.logResets += 1
            log.write(
                .error, "requests topic was recreated or truncated: rejoining",
                [
                    (.position, .string(position.description)), (.from, .integer(highest)),
                    (.count, .integer(Int64(open))),
                ])
        }
    }

    /// `answered` is how many of the lost requests have a result nevertheless.
    mutating func lost(_ partition: Int32, _ offsets: Range<Int64>, answered: Int = 0) {
        let count = max(0, offsets.count - answered)
        guard count > 0 else { return }
        metrics.lostRecords += count
        log.write(
            .error, "requests lost: retention deleted them before they were read",
            [
                (.partition, .integer(Int64(partition))), (.from, .integer(offsets.lowerBound)),
                (.count, .integer(Int64(count))),
            ])
    }

    /// Reports irregularities found when partitions were taken over.
    mutating func record(_ restore: LedgerRestore, _ ledgers: [Int32: Ledger]) {
        for (partition, takeover) in restore.takeovers.sorted(by: { $0.key < $1.key }) {
            let ledger = ledgers[partition]
            if let deleted = takeover.deleted {
                lost(partition, deleted, answered: ledger?.answeredCount(below: deleted.upperBound) ?? 0)
            }
            if takeover.isBeyondEnd {
                metrics.logResets += 1
                log.write(
                    .error,
                    "committed offset is past the topic's end: reading again from the start",
                    [
                        (.partition, .integer(Int64(partition))), (.from, .integer(takeover.start)),
                        (.offset, .integer(takeover.committed ?? 0)), (.end, .integer(takeover.requests.upperBound)),
                    ])
            }
            if let ledger, ledger.forgotten > 0 {
                metrics.forgottenResults += ledger.forgotten
                log.write(
                    .error, "results too far ahead of the committed offset: some requests will get a second result",
                    [(.partition, .integer(Int64(partition))), (.count, .integer(Int64(ledger.forgotten)))])
            }
        }
        let others = ledgers.values.reduce(0) { $0 + $1.ofOtherTopics }
        if others > 0 {
            log.write(
                .warning, "ignored results of another requests topic",
                [(.count, .integer(Int64(others)))])
        }
    }

    private mutating func ended(_ result: StartResult, _ took: Duration, _ now: Now) {
        metrics.requests[.init(status: result.status, category: result.failure?.category), default: 0] += 1
        let seconds = result.requestTimestamp.map { (now.wall - $0).seconds } ?? took.seconds
        metrics.requestSeconds.observe(max(0, seconds))
        let isRoutine = [.succeeded, .duplicate].contains(result.status)
        log.write(
            isRoutine ? .debug : .info, "request ended",
            [
                (.key, .string(result.fields.idempotencyKey ?? "")), (.status, .string(result.status.rawValue)),
                (.position, .string(result.position.description)), (.took, .integer(took.milliseconds)),
                (.attempts, .integer(Int64(result.attempts))),
            ] + (result.failure.map(Self.fields) ?? []))
    }

    private static func fields(_ failure: Failure) -> [(LogKey, JSON)] {
        [(.code, .string(failure.code)), (.category, .string(failure.category.rawValue))]
            + (failure.detail.map { [(.detail, .string($0))] } ?? [])
    }

    /// Whether a message may be logged again. Each message is logged at most once per `pause`, and the number of
    /// remembered messages is bounded.
    mutating func mayRepeat(_ what: String, every pause: Duration, _ now: Uptime) -> Bool {
        if let last = lastSaid[what], now - last < pause { return false }
        if lastSaid.count > 200 { lastSaid = lastSaid.filter { now - $0.value < pause } }
        lastSaid[what] = now
        return true
    }
}
