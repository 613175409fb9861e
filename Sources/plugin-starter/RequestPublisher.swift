internal import Core
internal import Kafka
internal import Worker

/// A record to publish. Without a partition the client chooses it by the key.
nonisolated struct OutgoingRecord {
    var partition: Int32?
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [Header] = []
}

/// Publishes requests, one batch after another. A batch is acknowledged before the next one is sent, so that no more
/// than one is on its way.
nonisolated final class RequestPublisher {
    /// The broker may elect a new leader within this time.
    private static let patience: Duration = .seconds(30)

    private let producer: Producer
    private var id: UInt64 = 0

    init(_ kafka: ClientConfiguration, topic: String) throws(KafkaError) {
        producer = try Producer(kafka, topic: topic)
    }

    /// What became of a batch.
    struct Outcome {
        /// The position of each request that is acknowledged.
        var positions: [Position?]
        /// Requests that may or may not have arrived.
        var unacknowledged = 0
        /// Why not all are acknowledged; nil also after a stop. `index` is that of the record that was refused.
        var failure: (error: KafkaError, index: Int?)?
    }

    /// Sends the batch and waits until all of it is acknowledged, until one is refused and those before it are
    /// acknowledged, or until `isStopped` and a second more.
    func publish(_ batch: [OutgoingRecord], isStopped: () -> Bool) -> Outcome {
        var outcome = Outcome(positions: Array(repeating: nil, count: batch.count))
        let first = id
        id += UInt64(batch.count)
        var queued = 0
        var last: KafkaError?
        var stoppedAt: Uptime?
        var events: [ProducerEvent] = []
        var deadline = Clock.uptime + Self.patience
        while outcome.unacknowledged > 0 || queued < batch.count && outcome.failure == nil && stoppedAt == nil {
            queue: while queued < batch.count && outcome.failure == nil && stoppedAt == nil {
                let record = batch[queued]
                switch producer.produce(
                    id: first + UInt64(queued), partition: record.partition, key: record.key, value: record.value,
                    headers: record.headers)
                {
                case .queued: (queued, outcome.unacknowledged) = (queued + 1, outcome.unacknowledged + 1)
                case .full: break queue
                case .refused(let error): outcome.failure = (error, queued)
                }
            }
            events.removeAll(keepingCapacity: true)
            _ = producer.next(into: &events, milliseconds: 50)
            for event in events {
                switch event {
                case .acknowledged(let id, let position) where id >= first:
                    outcome.positions[Int(id - first)] = position
                    outcome.unacknowledged -= 1
                    deadline = Clock.uptime + Self.patience
                case .refused(let id, let error) where id >= first:
                    outcome.failure = outcome.failure ?? (error, Int(id - first))
                    outcome.unacknowledged -= 1
                case .failed(let error): last = error
                case .acknowledged, .refused, .log: break
                }
            }
            if stoppedAt == nil && isStopped() { stoppedAt = Clock.uptime }
            if let stoppedAt, Clock.uptime - stoppedAt > .seconds(1) { break }
            if Clock.uptime >= deadline {
                outcome.failure = outcome.failure ?? (last ?? KafkaError.timedOut, nil)
                break
            }
        }
        return outcome
    }
}
