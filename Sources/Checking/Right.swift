/// A right that the broker must grant, and the command that grants it.
package struct Right: Equatable, Sendable, CustomStringConvertible {
    package enum Operation: String, Sendable {
        case read = "READ", describe = "DESCRIBE", write = "WRITE", idempotentWrite = "IDEMPOTENT_WRITE"
        case describeConfigs = "DESCRIBE_CONFIGS"
    }

    package enum Resource: Equatable, Sendable {
        case topic(String), group(String), cluster
    }

    package var operation: Operation
    package var resource: Resource
    private var user: String?
    private var servers: String

    /// `user` is the name that the broker sees; nil if only the broker knows it.
    package init(_ operation: Operation, _ resource: Resource, user: String?, servers: String) {
        self.operation = operation
        self.resource = resource
        self.user = user
        self.servers = servers
    }

    /// For example `READ on topic plugin.start.requests`.
    package var name: String { "\(operation.rawValue) on \(place)" }

    private var place: String {
        switch resource {
        case .topic(let topic): "topic \(topic)"
        case .group(let group): "group \(group)"
        case .cluster: "the cluster"
        }
    }

    private var flags: String {
        switch resource {
        case .topic(let topic): "--topic \(topic)"
        case .group(let group): "--group \(group)"
        case .cluster: "--cluster"
        }
    }

    var lack: String {
        "\(user.map { "user \($0)" } ?? "this client") lacks \(operation.rawValue) permission on \(place)"
    }

    var remedy: String {
        "run kafka-acls.sh --bootstrap-server \(servers) --add --allow-principal User:\(user ?? "NAME") "
            + "--operation \(operation.rawValue) \(flags)"
            + (resource == .cluster ? " (since Kafka 2.8, WRITE on the results topic is enough)" : "")
    }

    package var description: String { finding.sentence }

    /// The finding that the right is missing.
    package var finding: Finding {
        .error(.rights, lack, wanted: name, remedy: remedy, exitCode: 77)
    }
}
