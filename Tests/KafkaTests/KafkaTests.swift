import Foundation
import Testing

@testable import Core
@testable import Kafka

/// Tests the clients against librdkafka's mock cluster.
@Suite(.serialized) struct KafkaTests {
    @Test func `a record comes back unchanged: null differs from empty, headers keep their order`() throws {
        let (broker, configuration) = try Self.cluster()
        let headers = [Header("a", "1"), Header("a", nil), Header("b", [UInt8]()), Header("c", [0, 255])]
        let producer = try Producer(configuration, topic: "t")
        #expect(producer.produce(id: 1, partition: 0, key: nil, value: nil, headers: headers) == .queued)
        #expect(producer.produce(id: 2, partition: 0, key: [], value: [], headers: []) == .queued)
        let reader = try PartitionReader(configuration, topic: "t")
        try reader.read([(0, .beginning)])
        var records: [Record] = []
        try Self.until("both are read") {
            var events: [ProducerEvent] = []
            _ = producer.next(into: &events)
            if case .record(let record) = reader.next(milliseconds: 20) { records.append(record) }
            return records.count == 2
        }
        #expect(records[0].key == nil && records[0].value == nil)
        #expect(records[0].headers == headers)
        #expect(records[1].key == [] && records[1].value == [])
        withExtendedLifetime(broker) {}
    }

    @Test func `a pause and a resume neither lose nor repeat a record`() throws {
        let (broker, configuration) = try Self.cluster()
        try Self.produce(2000, configuration)
        let consumer = try Consumer(configuration, topic: "t", group: "pause")
        try consumer.subscribe()
        var seen: [Int64] = []
        var pauses = 0
        try Self.until("all are read") {
            guard let event = consumer.next() else {
                // Nothing arrives while the consumer is paused. Resuming twice must do no harm.
                consumer.resume([0])
                consumer.resume([0])
                return seen.count >= 2000
            }
            switch event {
            case .assigned: try consumer.accept([0: 0])
            case .record(let record):
                seen.append(record.position.offset)
                if seen.count % 400 == 0 {
                    consumer.pause([0])
                    consumer.pause([0])
                    pauses += 1
                }
            default: break
            }
            return false
        }
        #expect(pauses == 5)
        #expect(seen == Array(0..<2000))
        withExtendedLifetime(broker) {}
    }

    @Test(arguments: [false, true])
    func `an assignment that is answered after the consumer began to close is an error at most`(isClosed: Bool) throws {
        let (broker, configuration) = try Self.cluster()
        let consumer = try Consumer(configuration, topic: "t", group: "late")
        try consumer.subscribe()
        try Self.until("it is assigned") {
            if case .assigned = consumer.next() { true } else { false }
        }
        try consumer.beginClose()
        if isClosed {
            let deadline = Date().addingTimeInterval(3)
            while Date() < deadline && !consumer.isClosed { _ = consumer.next() }
        }
        try? consumer.accept([0: 0])
        try Self.until("it is closed") {
            if case .revoked(let partitions, _) = consumer.next() { _ = try consumer.release(partitions) }
            return consumer.isClosed
        }
        try? consumer.accept([0: 0])
        withExtendedLifetime(broker) {}
    }

    @Test func `a held revoke is answered later, and the next member begins at the offset committed meanwhile`()
        throws
    {
        let (broker, configuration) = try Self.cluster()
        try Self.produce(100, configuration)
        let consumer = try Consumer(configuration, topic: "t", group: "revoke")
        try consumer.subscribe()
        var seen = 0
        try Self.until("fifty are read") {
            switch consumer.next() {
            case .assigned: try consumer.accept([0: 0])
            case .record: seen += 1
            default: break
            }
            return seen == 50
        }
        try Self.commit(30, consumer)
        try consumer.beginClose()
        var revoked: [Int32] = []
        try Self.until("the revoke comes") {
            if case .revoked(let partitions, let isLost) = consumer.next() {
                #expect(!isLost)
                revoked = partitions
            }
            return !revoked.isEmpty
        }
        #expect(!consumer.isClosed)
        try Self.commit(42, consumer)
        #expect(try consumer.release([0]))
        try Self.until("the group is left") {
            _ = consumer.next()
            return consumer.isClosed
        }
        let next = try Consumer(configuration, topic: "t", group: "revoke")
        try next.subscribe()
        var first: Int64?
        try Self.until("the next member reads") {
            switch next.next() {
            case .assigned: try next.accept([0: try Self.committed(configuration, "revoke")])
            case .record(let record): first = first ?? record.position.offset
            default: break
            }
            return first != nil
        }
        #expect(first == 42)
        withExtendedLifetime(broker) {}
    }

    static func commit(_ offset: Int64, _ consumer: Consumer) throws {
        #expect(consumer.commit([(0, offset, "")], id: UInt(offset)) == nil)
        try until("offset \(offset) is committed") {
            guard let (id, error) = consumer.nextCommit() else { return false }
            #expect(id == UInt(offset) && error == nil)
            return true
        }
    }

    static func committed(_ configuration: ClientConfiguration, _ group: String) throws -> Int64 {
        let reader = try PartitionReader(configuration, topic: "t", group: group)
        return try reader.committed([0], milliseconds: 5000)[0]?.offset ?? -1
    }

    @Test func `an offset for a partition of another member is refused without harm`() throws {
        let (broker, configuration) = try Self.cluster()
        let consumer = try Consumer(configuration, topic: "t", group: "stray")
        _ = consumer.commit([(0, 7, ""), (5, 1, "")], id: 1)
        consumer.resume([0])
        consumer.pause([0])
        #expect(consumer.assignment.isEmpty)
        withExtendedLifetime(broker) {}
    }

    @Test func `after a fatal error everything queued comes back, and a new producer accepts it`() throws {
        let (broker, configuration) = try Self.cluster()
        let producer = try Producer(
            ClientConfiguration(
                bootstrapServers: configuration.bootstrapServers, properties: [("linger.ms", "60000")]), topic: "t")
        for id in 1...5 as ClosedRange<UInt64> {
            #expect(producer.produce(id: id, partition: 0, key: nil, value: [1], headers: []) == .queued)
        }
        producer.failFatally()
        var refused: Set<UInt64> = []
        var fatal: KafkaError?
        try Self.until("all come back") {
            var events: [ProducerEvent] = []
            _ = producer.next(into: &events, milliseconds: 20)
            for event in events {
                switch event {
                case .refused(let id, _): refused.insert(id)
                case .failed(let error) where error.isFatal: fatal = error
                default: break
                }
            }
            return refused.count == 5 && producer.pending == 0 && fatal != nil
        }
        #expect(producer.isBroken)
        #expect(fatal?.name == "OUT_OF_ORDER_SEQUENCE_NUMBER")
        #expect(producer.produce(id: 6, partition: 0, key: nil, value: [1], headers: []) == .full)
        try Self.produce(5, configuration)
        withExtendedLifetime(broker) {}
    }

    @Test func `a value that is too long is not copied, but its record has the length`() throws {
        let (broker, configuration) = try Self.cluster()
        defer { withExtendedLifetime(broker) {} }
        try Self.produce(101, configuration)
        let consumer = try Consumer(configuration, topic: "t", group: "g", longestValue: 2)
        try consumer.subscribe()
        var records: [Record] = []
        try Self.until("all are read") {
            while let event = consumer.next() {
                if case .assigned = event { try consumer.accept([0: 0]) }
                if case .record(let record) = event { records.append(record) }
            }
            return records.count == 101
        }
        #expect(records[99].value == Array("99".utf8) && records[99].omittedBytes == nil)
        #expect(records[100].value == nil && records[100].omittedBytes == 3)
    }

    @Test func `a cluster without offset lookup by time is read from its beginning`() throws {
        let (broker, configuration) = try Self.cluster()
        defer { withExtendedLifetime(broker) {} }
        try Self.produce(1, configuration)
        let reader = try PartitionReader(configuration, topic: "t")
        let starts = try reader.offsets(at: Timestamp(milliseconds: 1), [0], milliseconds: 5000)
        guard case .beginning = starts[0].start else {
            Issue.record("\(starts)")
            return
        }
    }

    @Test(arguments: ["delivery.report.only.error", "statistics.interval.ms", "retries", "test.mock.num.brokers"])
    func `properties that break delivery are refused`(_ name: String) {
        #expect(ClientConfiguration.refusal(of: name) != nil)
    }

    @Test func `OAUTHBEARER is refused with a library that crashes on it, other mechanisms are not`() {
        let refusal = ClientConfiguration.refusal(of: "sasl.mechanism", value: "OAUTHBEARER")
        #expect((refusal != nil) == ClientConfiguration.crashesOnOAuth)
        #expect(ClientConfiguration.refusal(of: "sasl.mechanism", value: "PLAIN") == nil)
    }

    @Test func `topics are listed, and asking for one does not create it`() throws {
        let (broker, configuration) = try Self.cluster(partitions: 3)
        let cluster = try TopicMetadata(configuration)
        #expect(try cluster.state(of: "t", milliseconds: 5000) == .there(partitions: 3))
        #expect(try cluster.settings(of: "t", milliseconds: 2000) == nil)
        #expect(try cluster.mayWrite("t", milliseconds: 2000, isStopped: { false }) == nil)
        #expect(try cluster.unreadable([("t", 3)], milliseconds: 5000, isStopped: { false }) == [])
        withExtendedLifetime(broker) {}
    }

    @Test func `an unknown property is named`() {
        let configuration = ClientConfiguration(bootstrapServers: "b:1", properties: [("no.such.thing", "1")])
        let error = #expect(throws: KafkaError.self) { try Producer(configuration, topic: "t") }
        #expect(error?.kind == .configuration)
        #expect(error?.text.contains("no.such.thing") ?? false)
    }

    @Test func `properties that delivery depends on cannot be set`() {
        for name in [
            "enable.auto.commit", "auto.commit.interval.ms", "enable.auto.offset.store", "acks", "enable.idempotence",
            "group.id",
        ] {
            #expect(ClientConfiguration.refusal(of: name) != nil)
        }
        #expect(ClientConfiguration.refusal(of: "ssl.ca.location") == nil)
    }

    @Test func `SCRAM on a library that repeats the nonce is named as the cause`() {
        let scram = ClientConfiguration(bootstrapServers: "b:1", properties: [("sasl.mechanism", "SCRAM-SHA-512")])
        let plain = ClientConfiguration(bootstrapServers: "b:1", properties: [("sasl.mechanism", "PLAIN")])
        #expect(plain.authenticationHint == nil)
        if ClientConfiguration.repeatsSCRAMNonce {
            #expect(scram.authenticationHint?.contains("2.6.1") ?? false)
        } else {
            #expect(scram.authenticationHint == nil)
        }
    }
}
