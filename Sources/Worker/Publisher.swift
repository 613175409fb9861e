internal import Core
internal import Kafka

/// Writes results to their topic, each after its dead letter, if it has one, is acknowledged. What waits for room in the
/// producer waits here, in order. A broken producer is replaced once it has no pending records.
final class Publisher {
    enum Outcome {
        case acknowledged(RequestID)
        /// The topic did not take the result, or its dead letter.
        case refused(RequestID, KafkaError, topic: String)
        case failed(KafkaError)
    }

    private let kafka: ClientConfiguration
    private let topics: [String]
    private let writer: ResultWriter
    private let status: StatusReporter
    private(set) var producer: Producer
    /// Whether the producer's queue may hold more events. librdkafka signals only when the queue becomes non-empty.
    private var hasMore = true
    private var backlog: [(request: RequestID, result: StartResult, letter: DeadLetter?)] = []
    /// Results whose dead letter is not acknowledged yet.
    private var held: [RequestID: StartResult] = [:]
    /// Requests whose dead letter is acknowledged, with their partitions, until their result is too.
    private var buried: [RequestID: Int32] = [:]
    /// Records that were not queued: a request's number, or a dead letter's.
    private var refused: [(RequestID, KafkaError)] = []
    private var rebuilding = Backoff()
    private var events: [ProducerEvent] = []
    private static let eventsPerPoll = 64

    /// Marks the number of a dead letter's record. Requests' numbers never get so high.
    private static let letterMark: RequestID = 1 << 63

    init(
        _ kafka: ClientConfiguration, topic: String, deadLetterTopic: String? = nil, requestsTopic: String,
        _ status: StatusReporter
    ) throws(KafkaError) {
        self.kafka = kafka
        topics = [topic] + (deadLetterTopic.map { [$0] } ?? [])
        self.status = status
        writer = ResultWriter(requestsTopic: requestsTopic)
        producer = try Producer(kafka, topics: topics)
    }

    /// Changes when the producer is replaced.
    var descriptor: Int32 { producer.descriptor }
    /// Whether results wait for room in the producer.
    var hasBacklog: Bool { !backlog.isEmpty }
    /// Whether no result is still being written.
    var isIdle: Bool { producer.pending == 0 && backlog.isEmpty }

    /// The latest time for the next `poll`.
    func deadline(_ now: Uptime) -> Uptime? {
        if hasMore || !refused.isEmpty { return now }
        return backlog.isEmpty ? nil : now + .milliseconds(10)
    }

    func becameReadable() {
        producer.acknowledge()
        hasMore = true
    }

    func publish(_ request: RequestID, _ result: StartResult, _ letter: DeadLetter? = nil) {
        // The core sends a result again that was refused, but its dead letter is written once.
        let letter = topics.count < 2 || buried[request] != nil ? nil : letter
        if !backlog.isEmpty || !send(request, result, letter) { backlog.append((request, result, letter)) }
    }

    /// Drops the waiting results of lost partitions. The next owner answers their requests.
    func drop(_ partitions: [Int32]) {
        backlog.removeAll { partitions.contains($0.result.position.partition) }
        held = held.filter { !partitions.contains($0.value.position.partition) }
        buried = buried.filter { !partitions.contains($0.value) }
    }

    /// Takes the producer's events, and sends results that waited for room.
    func poll(_ now: Uptime) -> [Outcome] {
        var outcomes: [Outcome] = []
        takeEvents(&outcomes)
        if producer.isBroken && producer.pending == 0 && rebuilding.allows(now) { rebuild(now) }
        let sent = backlog.prefix { send($0.request, $0.result, $0.letter) }.count
        backlog.removeFirst(sent)
        // What is sent in place of a refused dead letter can be refused as well, and is then told the next time.
        let refused = refused
        self.refused.removeAll()
        for (number, error) in refused { wasRefused(number, error, &outcomes) }
        return outcomes
    }

    private func takeEvents(_ outcomes: inout [Outcome]) {
        guard hasMore || producer.isBroken else { return }
        events.removeAll(keepingCapacity: true)
        hasMore = false
        for _ in 0..<Self.eventsPerPoll {
            guard producer.next(into: &events) else { break }
            hasMore = true
        }
        for event in events {
            switch event {
            case .acknowledged(let number, _) where number & Self.letterMark != 0:
                rebuilding.worked()
                status.deadLetterWritten()
                bury(number ^ Self.letterMark)
            case .acknowledged(let request, _):
                rebuilding.worked()
                buried[request] = nil
                outcomes.append(.acknowledged(request))
            case .refused(let number, let error): wasRefused(number, error, &outcomes)
            case .failed(let error): outcomes.append(.failed(error))
            case .log(let line): status.pass(line)
            }
        }
    }

    /// The dead letter is done with, so its result is sent.
    private func bury(_ request: RequestID) {
        guard let result = held.removeValue(forKey: request) else { return }
        buried[request] = result.position.partition
        publish(request, result)
    }

    private func wasRefused(_ number: RequestID, _ error: KafkaError, _ outcomes: inout [Outcome]) {
        guard number & Self.letterMark != 0 else {
            outcomes.append(.refused(number, error, topic: topics[0]))
            return
        }
        let request = number ^ Self.letterMark
        guard let result = held[request] else { return }
        guard error.isTooLarge else {
            held[request] = nil
            outcomes.append(.refused(request, error, topic: topics[1]))
            return
        }
        // It would be refused for ever. The request's own record still holds it.
        status.log(
            .error, "dead letter is too large for its topic: result written without it",
            [(.topic, .string(topics[1])), (.position, .string(result.position.description))])
        bury(request)
    }

    /// Returns false if there was no room.
    private func send(_ request: RequestID, _ result: StartResult, _ letter: DeadLetter?) -> Bool {
        let number = letter == nil ? request : request | Self.letterMark
        let outcome: Producer.Outcome
        if let letter {
            held[request] = result
            outcome = producer.produce(
                id: number, topic: 1, partition: nil, key: letter.record.key,
                value: letter.record.value, headers: writer.headers(letter))
        } else {
            let record = writer.record(result)
            outcome = producer.produce(
                id: number, partition: record.partition, key: record.key, value: record.value,
                headers: record.headers)
        }
        switch outcome {
        case .queued: return true
        case .full: return false
        case .refused(let error):
            refused.append((number, error))
            return true
        }
    }

    private func rebuild(_ now: Uptime) {
        rebuilding.tried(now)
        status.attempt { () throws(KafkaError) in
            // Create the new producer before the old one is released, so that its descriptor does not reuse the old
            // number.
            let fresh = try Producer(kafka, topics: topics)
            var old: Producer? = producer
            producer = fresh
            hasMore = true
            Disposal.dispose(of: &old)
            status.log(
                .warning, "producer recreated after a fatal error", atMostEvery: .seconds(60), as: "producer")
        }
    }
}
