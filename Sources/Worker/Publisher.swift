internal import Core
internal import Kafka

/// Writes results to their topic. Results wait here, in order, while the producer has no room. A broken producer is
/// replaced once it has no pending records.
final class Publisher {
    enum Outcome {
        case acknowledged(RequestID)
        /// The topic did not take the result.
        case refused(RequestID, KafkaError)
        case failed(KafkaError)
    }

    private let kafka: ClientConfiguration
    private let topic: String
    private let writer: ResultWriter
    private let status: StatusReporter
    private(set) var producer: Producer
    /// Whether the producer's queue may hold more events. librdkafka signals only when the queue becomes non-empty.
    private var hasMore = true
    private var backlog: [(request: RequestID, result: StartResult)] = []
    private var refused: [(RequestID, KafkaError)] = []
    private var rebuilding = Backoff()
    private var events: [ProducerEvent] = []
    private static let eventsPerPoll = 64

    init(_ kafka: ClientConfiguration, topic: String, requestsTopic: String, _ status: StatusReporter)
        throws(KafkaError)
    {
        self.kafka = kafka
        self.topic = topic
        self.status = status
        writer = ResultWriter(requestsTopic: requestsTopic)
        producer = try Producer(kafka, topic: topic)
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

    func publish(_ request: RequestID, _ result: StartResult) {
        if !backlog.isEmpty || !send(request, result) { backlog.append((request, result)) }
    }

    /// Drops the waiting results of lost partitions. The next owner answers their requests.
    func drop(_ partitions: [Int32]) { backlog.removeAll { partitions.contains($0.result.position.partition) } }

    /// Takes the producer's events, and sends results that waited for room.
    func poll(_ now: Uptime) -> [Outcome] {
        var outcomes: [Outcome] = []
        takeEvents(&outcomes)
        if producer.isBroken && producer.pending == 0 && rebuilding.allows(now) { rebuild(now) }
        let sent = backlog.prefix { send($0.request, $0.result) }.count
        backlog.removeFirst(sent)
        outcomes += refused.map { .refused($0, $1) }
        refused.removeAll()
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
            case .acknowledged(let request, _):
                rebuilding.worked()
                outcomes.append(.acknowledged(request))
            case .refused(let request, let error): outcomes.append(.refused(request, error))
            case .failed(let error): outcomes.append(.failed(error))
            case .log(let line): status.pass(line)
            }
        }
    }

    /// Returns false if there was no room.
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

    private func rebuild(_ now: Uptime) {
        rebuilding.tried(now)
        status.attempt { () throws(KafkaError) in
            // Create the new producer before the old one is released, so that its descriptor does not reuse the old
            // number.
            let fresh = try Producer(kafka, topic: topic)
            var old: Producer? = producer
            producer = fresh
            hasMore = true
            Disposal.dispose(of: &old)
            status.log(
                .warning, "producer recreated after a fatal error", atMostEvery: .seconds(60), as: "producer")
        }
    }
}
