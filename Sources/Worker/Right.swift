internal import Core
package import Kafka

/// A right that the broker must grant, and the command that grants it.
package struct Right: Equatable, Sendable, CustomStringConvertible {
    package enum Operation: String, Sendable {
        case read = "READ", describe = "DESCRIBE", write = "WRITE", idempotentWrite = "IDEMPOTENT_WRITE"
    }

    package enum Resource: Equatable, Sendable {
        case topic(String), group(String), cluster
    }

    package var operation: Operation
    package var resource: Resource
    private var user: String?
    private var servers: String

    package init(_ operation: Operation, _ resource: Resource, _ kafka: ClientConfiguration) {
        self.operation = operation
        self.resource = resource
        user = kafka.user
        servers = kafka.bootstrapServers
    }

    package var description: String {
        let (name, flags) =
            switch resource {
            case .topic(let topic): ("topic \(topic)", "--topic \(topic)")
            case .group(let group): ("group \(group)", "--group \(group)")
            case .cluster: ("the cluster", "--cluster")
            }
        return "\(user.map { "user \($0)" } ?? "this client") lacks \(operation.rawValue) permission on \(name): "
            + "run kafka-acls.sh --bootstrap-server \(servers) --add --allow-principal User:\(user ?? "NAME") "
            + "--operation \(operation.rawValue) \(flags)"
            + (resource == .cluster ? " (since Kafka 2.8, WRITE on the results topic is enough)" : "")
    }

    package var failure: WorkerFailure { WorkerFailure(77, description) }
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
