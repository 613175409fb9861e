import Foundation
import Testing

@testable import Core
@testable import Kafka

/// A mock cluster for a test, and what a test does with it.
extension KafkaTests {
    static let fast = [
        (name: "fetch.wait.max.ms", value: "10"), (name: "session.timeout.ms", value: "4000"),
        (name: "heartbeat.interval.ms", value: "200"),
    ]

    static func cluster(partitions: Int = 1) throws -> (MockBroker, ClientConfiguration) {
        let broker = try MockBroker(topics: [("t", partitions)])
        return (broker, ClientConfiguration(bootstrapServers: broker.bootstrapServers, properties: fast))
    }

    static func produce(_ count: Int, _ configuration: ClientConfiguration, headers: [Header] = []) throws {
        let producer = try Producer(configuration, topic: "t")
        for number in 0..<count {
            #expect(
                producer.produce(
                    id: UInt64(number), partition: 0, key: [1], value: Array("\(number)".utf8), headers: headers)
                    == .queued)
        }
        var acknowledged: Set<UInt64> = []
        try until("all are acknowledged") {
            var events: [ProducerEvent] = []
            _ = producer.next(into: &events, milliseconds: 50)
            for case .acknowledged(let id, _) in events { acknowledged.insert(id) }
            return acknowledged.count == count
        }
    }

    static func until(_ what: String, seconds: Double = 30, _ condition: () throws -> Bool) throws {
        let deadline = Date().addingTimeInterval(seconds)
        while try !condition() {
            guard Date() < deadline else {
                Issue.record("not in time: \(what)")
                throw CancellationError()
            }
        }
    }
}
