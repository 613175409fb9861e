internal import Core
internal import Glibc
internal import Kafka
internal import Settings
internal import Worker

extension Settings {
    /// How to reach the cluster; refuses the properties that are the worker's own, by name.
    nonisolated func kafka() throws(CommandFailure) -> ClientConfiguration {
        let properties = all(SettingTable.kafkaProperty)
        for property in properties {
            if let refusal = ClientConfiguration.refusal(of: property.name, value: property.value) {
                throw CommandFailure(64, "kafka-property: \(property.name) \(refusal)")
            }
        }
        return ClientConfiguration(
            bootstrapServers: value(SettingTable.bootstrapServers), properties: properties.map { ($0.name, $0.value) })
    }
}

/// What commands that read topics share.
nonisolated enum Topics {
    /// How many partitions a topic has; a command waits for a broker for some seconds, not for ever.
    static func partitions(_ topic: String, _ kafka: ClientConfiguration) throws(CommandFailure) -> Int {
        do throws(KafkaError) {
            let cluster = try Cluster(kafka)
            let deadline = Clock.uptime + .seconds(10)
            while true {
                do throws(KafkaError) {
                    switch try cluster.state(of: topic, milliseconds: 2000) {
                    case .there(let count): return count
                    case .missing: throw KafkaError.missing(topic)
                    case .hidden: throw KafkaError.hidden
                    }
                } catch {
                    let mayPass = [.unreachable, .other].contains(error.kind)
                    if !mayPass || Clock.uptime >= deadline { throw error }
                    if error.kind == .other { usleep(100_000) }
                }
            }
        } catch {
            throw failure(error, kafka, topic: topic)
        }
    }

    /// `topic` and `operation`: what was tried, so that a missing right is named.
    static func failure(
        _ error: KafkaError, _ kafka: ClientConfiguration, topic: String? = nil, _ operation: Right.Operation = .read
    ) -> CommandFailure {
        if error.kind == .missing {
            return CommandFailure(64, "\(error.text) at \(kafka.bootstrapServers): create it, or name another")
        }
        if let right = error.right(operation, topic: topic, kafka) {
            return CommandFailure(right.failure.exitCode, right.failure.message)
        }
        let failure = WorkerFailure(error, kafka)
        return CommandFailure(failure.exitCode, failure.message)
    }
}
