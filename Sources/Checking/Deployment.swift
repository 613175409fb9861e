package import Core

/// The settings that facts are judged against. The rules are in extensions, one file for each subject.
package struct Deployment: Sendable {
    package var bootstrapServers: String
    /// The user name that the broker sees; nil if only the broker knows it.
    package var user: String?
    package var requestsTopic: String
    package var resultsTopic: String
    package var group = "plugin-starter"
    package var dedupeWindow: Duration
    package var retryFor: Duration = .seconds(900)
    package var maximumRequestBytes = 256 << 10
    package var quota: RateLimit? = RateLimit(calls: 5, window: .seconds(60))
    /// How the group's members share the partitions; nil if the broker decides.
    package var strategy: String? = "roundrobin"
    /// The librdkafka properties that are set, by name.
    package var properties: [String: String] = [:]
    package var library = LibraryVersion(number: 0, text: "")

    package init(
        bootstrapServers: String, user: String?, requestsTopic: String, resultsTopic: String, dedupeWindow: Duration
    ) {
        self.bootstrapServers = bootstrapServers
        self.user = user
        self.requestsTopic = requestsTopic
        self.resultsTopic = resultsTopic
        self.dedupeWindow = dedupeWindow
    }

    func right(_ operation: Right.Operation, _ resource: Right.Resource) -> Right {
        Right(operation, resource, user: user, servers: bootstrapServers)
    }

    /// The command that changes a topic's settings.
    func alter(_ topic: String, _ change: String) -> String {
        "run kafka-configs.sh --bootstrap-server \(bootstrapServers) --alter --entity-type topics "
            + "--entity-name \(topic) --add-config \(change)"
    }
}

/// The version of librdkafka that runs. `number` is `0xMMmmrrpp` (`rd_kafka_version()`).
package struct LibraryVersion: Equatable, Sendable {
    package var number: Int
    package var text: String

    package init(number: Int, text: String) {
        self.number = number
        self.text = text
    }

    func isBefore(_ major: Int, _ minor: Int, _ revision: Int = 0) -> Bool {
        number < major << 24 | minor << 16 | revision << 8
    }
}
