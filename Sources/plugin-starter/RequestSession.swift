internal import Checking
internal import Core
internal import Kafka
internal import Reporting
internal import Settings
internal import Worker

/// Requests on their way, and what is printed about them.
nonisolated final class RequestSession {
    /// Failures that are printed one by one. The summary counts all of them.
    private static let maximumFailuresShown = 20

    private let publisher: RequestPublisher
    private let kafka: ClientConfiguration
    private let topic: String
    private let isJSON: Bool
    private let signals = Signals()
    private var waiter: ResultWaiter?
    private var progress: Progress
    /// The total, where it is known.
    private let total: Int?
    private var failuresShown = 0
    private var wasStopped = false
    /// Requests that the broker has acknowledged.
    private(set) var sent = 0
    /// Requests that were passed to the client and may or may not have arrived.
    private var unacknowledged = 0

    init(_ settings: Settings, total: Int?) throws(CommandFailure) {
        kafka = try settings.kafka()
        topic = settings.value(SettingTable.requestsTopic)
        isJSON = settings.value(SettingTable.json)
        self.total = total
        progress = Progress(total: total)
        _ = try Topics.partitions(topic, kafka)
        // The ends of the results are pinned before anything is sent.
        if let time = settings[SettingTable.wait] { waiter = try ResultWaiter(settings, kafka, time: time) }
        do throws(KafkaError) { publisher = try RequestPublisher(kafka, topic: topic) } catch {
            throw Topics.failure(error, kafka, topic: topic, .write)
        }
    }

    private var isSingle: Bool { total == 1 }

    func isStopped() -> Bool {
        if signals.next() != nil { wasStopped = true }
        return wasStopped
    }

    /// Sends the requests. Returns false if a signal came before all of them were acknowledged, or before there was
    /// room for them.
    func send(_ batch: [OutgoingRequest]) throws(CommandFailure) -> Bool {
        guard try waitForRoom(batch.count) else { return false }
        guard !batch.isEmpty else { return true }
        let outcome = publisher.publish(batch.map(\.record), isStopped: isStopped)
        unacknowledged += outcome.unacknowledged
        if !isSingle { progress.clear() }
        for case (let request, let position?) in zip(batch, outcome.positions) {
            sent += 1
            if waiter == nil { show(request, position) } else { waiter?.expect(request, at: position) }
        }
        if let (error, index) = outcome.failure {
            leave()
            throw failure(error, index.map { batch[$0] })
        }
        if !isSingle { progress.show(sent) }
        guard !wasStopped else { return false }
        try takeResults()
        return true
    }

    private func failure(_ error: KafkaError, _ request: OutgoingRequest?) -> CommandFailure {
        var failure = Topics.failure(error, kafka, topic: topic, .write)
        if let request, error.isTooLarge {
            failure = CommandFailure(
                64,
                "the request of \(request.value.count) bytes is larger than the topic or the client accepts "
                    + "(max.message.bytes, message.max.bytes)")
        }
        guard !isSingle else { return failure }
        let line = request?.line.map { "line \($0): " } ?? ""
        return CommandFailure(failure.exitCode, "\(line)\(failure.message); \(count)")
    }

    /// Waits until that many more requests can wait for their results.
    private func waitForRoom(_ count: Int) throws(CommandFailure) -> Bool {
        guard let time = waiter?.time else { return true }
        let deadline = Clock.uptime + time
        while let waiting = waiter?.open.count, waiting > 0, waiting + count > ResultWaiter.maximumOpen {
            if isStopped() { return false }
            guard Clock.uptime < deadline else {
                leave()
                throw CommandFailure(
                    75, "\(waiting) requests got no result within \(time.unitText); \(self.count)")
            }
            if let result = try waiter?.next(milliseconds: 50) { show(result) }
        }
        return true
    }

    /// Prints the results that are there.
    func takeResults() throws(CommandFailure) {
        while !(waiter?.open.isEmpty ?? true), let result = try waiter?.next(milliseconds: 0) { show(result) }
    }

    /// Leaves the line of the progress bar, and prints the keys of the requests whose results are not waited for.
    func leave() {
        if !isSingle { progress.finish(sent) }
        showUnanswered()
    }

    /// Waits for the results that are missing, then prints the counts. Returns the exit code.
    func finish() throws(CommandFailure) -> Int32 {
        let speed = "\(progress.time.tenths) s (\(progress.rate(sent))/s)"
        if !isSingle {
            progress.finish(sent)
            Console.error("plugin-starter: sent \(sent) \(Self.noun(sent)) in \(speed)")
        }
        guard let time = waiter?.time else { return 0 }
        let deadline = Clock.uptime + time
        var answers = Progress(total: sent)
        while let missing = waiter?.open.count, missing > 0, Clock.uptime < deadline {
            if isStopped() { return stopped() }
            if !isSingle { answers.show(sent - missing) }
            guard let result = try waiter?.next(milliseconds: 50) else { continue }
            if !isSingle { answers.clear() }
            show(result)
        }
        if !isSingle { answers.clear() }
        return report(within: time)
    }

    private func report(within time: Duration) -> Int32 {
        guard let waiter else { return 0 }
        showUnanswered()
        if !isSingle { for line in waiter.summary { Console.error("plugin-starter: \(line)") } }
        if !waiter.open.isEmpty {
            let what = isSingle ? "the request stays queued" : "the requests without one stay queued"
            Console.error("plugin-starter: no result within \(time.unitText); \(what)")
        }
        return waiter.hasFailures ? 1 : waiter.open.isEmpty ? 0 : 75
    }

    /// After a signal: says what was sent. The exit code is that of a command that was stopped.
    func stopped() -> Int32 {
        leave()
        Console.error("plugin-starter: stopped: \(count)")
        if let waiter, sent > 0 {
            Console.error("plugin-starter: \(waiter.summary[0]); requests without a result stay queued")
        }
        return 75
    }

    private var count: String {
        let unsure = unacknowledged > 0 ? ", and \(unacknowledged) may have been sent" : ""
        return "sent \(sent)\(total.map { " of \($0)" } ?? "") \(Self.noun(total ?? sent))\(unsure)"
    }

    private static func noun(_ count: Int) -> String { count == 1 ? "request" : "requests" }

    // MARK: Output

    private func showUnanswered() {
        for (position, request) in (waiter?.open ?? [:]).sorted(by: { ($0.value.line ?? 0) < ($1.value.line ?? 0) }) {
            show(request, position)
        }
    }

    private func show(_ request: OutgoingRequest, _ position: Position) {
        guard isJSON else { return Console.print(request.key.printable) }
        var members: [JSON.Member] = [
            .init("idempotency_key", .string(request.key)), .init("partition", .integer(Int64(position.partition))),
            .init("offset", .integer(position.offset)),
        ]
        if let line = request.line { members.append(.init("line", .integer(Int64(line)))) }
        Console.print(JSON.object(members).text)
    }

    private func show(_ result: JSON) {
        if !isSingle { progress.clear() }
        let key = (result["idempotency_key"]?.string ?? "").printable
        Console.print(isJSON ? result.text : "\(key) \(result["status"]?.string ?? "")".printable)
        let outcome = Outcome(result)
        guard let remedy = outcome.remedy, failuresShown < Self.maximumFailuresShown else { return }
        failuresShown += 1
        let error = outcome.error ?? result["status"]?.string ?? ""
        Console.error(isSingle ? "\(error)\n\(remedy)" : "\(key): \(error)")
        if failuresShown == Self.maximumFailuresShown && !isSingle {
            Console.error("plugin-starter: further failures are only counted")
        }
    }
}
