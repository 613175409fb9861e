internal import Checking
internal import Core
internal import Glibc
internal import Kafka
internal import Settings
internal import Worker

extension Settings {
    /// How to reach the cluster. Refuses properties that the worker sets itself, and names them.
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

/// Functions shared by the commands that read topics.
nonisolated enum Topics {
    /// The number of partitions of a topic. Waits for a broker for some seconds, not for ever.
    static func partitions(_ topic: String, _ kafka: ClientConfiguration) throws(CommandFailure) -> Int {
        do throws(KafkaError) {
            let cluster = try TopicMetadata(kafka)
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

    /// `topic` and `operation`: what the command tried, so that the message names a missing right.
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
