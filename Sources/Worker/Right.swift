package import Checking
internal import Core
package import Kafka

extension Right {
    package init(_ operation: Operation, _ resource: Resource, _ kafka: ClientConfiguration) {
        self.init(operation, resource, user: kafka.user, servers: kafka.bootstrapServers)
    }

    package var failure: WorkerFailure { WorkerFailure(finding) }
}

extension KafkaError {
    /// The missing right that this error reports, for `operation` on the topic or for membership in the group. Nil if
    /// the error is not about a right.
    package func right(
        _ operation: Right.Operation, topic: String?, group: String? = nil, _ kafka: ClientConfiguration
    ) -> Right? {
        switch right {
        case .topic: topic.map { Right(operation, .topic($0), kafka) }
        case .group: group.map { Right(.read, .group($0), kafka) }
        case .cluster: Right(.idempotentWrite, .cluster, kafka)
        case nil: nil
        }
    }
}
