internal import Core
internal import Kafka
internal import Synchronization

/// Checks on its own thread whether a topic may be read again. librdkafka reports a missing right once, and reports
/// nothing when it can fetch an idle partition again.
final class ReadCheck: Sendable {
    private let kafka: ClientConfiguration
    private let topic: String
    private let partitions: Int
    private let answer = Mutex<Bool?>(nil)
    private static let patience: Int32 = 5000

    init(_ kafka: ClientConfiguration, topic: String, partitions: Int) {
        self.kafka = kafka
        self.topic = topic
        self.partitions = partitions
        if !DetachedThread.start({ self.run() }) { answer.withLock { $0 = false } }
    }

    /// Nil while the check runs.
    var mayRead: Bool? { answer.withLock { $0 } }

    private func run() {
        let found = try? TopicMetadata(kafka).unreadable(
            [(topic, partitions)], milliseconds: Self.patience, isStopped: { false })
        answer.withLock { $0 = found?.isEmpty ?? false }
    }
}
