import Testing

@testable import Core
@testable import Kafka
@testable import Worker

@Suite struct PublisherTests {
    @Test func `a dead letter is written before its result, and only once`() throws {
        let (publisher, broker) = try Self.publisher(deadLetterTopic: "d")
        let record = Record(
            position: Position(partition: 1, offset: 5), timestamp: nil, key: [1], value: Array("{".utf8),
            headers: [Header("mine", "x")])
        let result = StartResult(
            status: .rejected, fields: RequestFields(), position: record.position,
            completedAt: Timestamp(milliseconds: 1_700_000_000_000))
        let reader = try PartitionReader(
            ClientConfiguration(bootstrapServers: broker.bootstrapServers), topic: "d", group: "g")
        for round in 1...2 {
            publisher.publish(7, result, DeadLetter(record: record, result: result))
            #expect(publisher.producer.pending == 1, "the result waits for its dead letter")
            let end = Clock.uptime + .seconds(30)
            var isDone = false
            while !isDone {
                try #require(Clock.uptime < end)
                publisher.becameReadable()
                isDone = publisher.poll(Clock.uptime).contains { if case .acknowledged(7) = $0 { true } else { false } }
            }
            #expect(publisher.isIdle)
            let letters = try (0..<3).reduce(0) { sum, partition in
                try sum + Int(reader.range(partition, milliseconds: 5000).upperBound)
            }
            #expect(letters == round, "each result has a dead letter of its own")
        }
    }

    @Test func `a dead letter whose result is sent again is not written again`() throws {
        let (publisher, broker) = try Self.publisher(deadLetterTopic: "d")
        let record = Record(position: Position(partition: 0, offset: 5), timestamp: nil, key: nil, value: nil)
        var result = StartResult(
            status: .rejected, fields: RequestFields(), position: record.position,
            completedAt: Timestamp(milliseconds: 1_700_000_000_000))
        // Larger than the client allows.
        result.fields.reason = String(repeating: "x", count: 2_000_000)
        let letter = DeadLetter(record: record, result: result)
        publisher.publish(7, result, letter)
        let end = Clock.uptime + .seconds(30)
        var (isRefused, isDone) = (false, false)
        while !isDone {
            try #require(Clock.uptime < end)
            publisher.becameReadable()
            for outcome in publisher.poll(Clock.uptime) {
                switch outcome {
                case .refused(7, let error, let topic):
                    #expect(error.isTooLarge && topic == "r")
                    isRefused = true
                    publisher.publish(7, try #require(result.shorter), letter)
                    #expect(publisher.producer.pending == 1)
                case .acknowledged(7): isDone = true
                default: Issue.record("\(outcome)")
                }
            }
        }
        #expect(isRefused)
        #expect(publisher.isIdle)
        withExtendedLifetime(broker) {}
    }

    static func publisher(deadLetterTopic: String? = nil) throws -> (Publisher, MockBroker) {
        let broker = try MockBroker(topics: [("r", 3), ("d", 3)])
        let kafka = ClientConfiguration(bootstrapServers: broker.bootstrapServers)
        let options = Worker.Options(
            kafka: kafka, requestsTopic: "q", resultsTopic: "r", group: "g",
            pipeline: Pipeline.Configuration(quota: nil), shutdownTimeout: .seconds(1), sessionTimeout: .seconds(10))
        let publisher = try Publisher(
            kafka, topic: "r", deadLetterTopic: deadLetterTopic, requestsTopic: "q",
            StatusReporter(options, Log(level: .error, format: .text)))
        return (publisher, broker)
    }

    @Test func `results are written although the producer fails fatally again and again`() throws {
        let (publisher, broker) = try Self.publisher()
        let results = (0..<3_000 as Range<Int64>).map { number in
            StartResult(
                status: .succeeded, fields: RequestFields(),
                position: Position(partition: Int32(number % 3), offset: number / 3),
                completedAt: Timestamp(milliseconds: 1_700_000_000_000))
        }
        var (waiting, acknowledged, failures) = (Array(results.indices), Set<RequestID>(), 0)
        let end = Clock.uptime + .seconds(60)
        while acknowledged.count < results.count || !publisher.isIdle {
            try #require(Clock.uptime < end, "\(acknowledged.count) acknowledged, \(failures) failures")
            for number in waiting.prefix(400) { publisher.publish(RequestID(number), results[number]) }
            waiting.removeFirst(min(400, waiting.count))
            if failures < 4 && acknowledged.count >= failures * 500 && !publisher.producer.isBroken {
                publisher.producer.failFatally()
                failures += 1
            }
            publisher.becameReadable()
            for outcome in publisher.poll(Clock.uptime) {
                switch outcome {
                case .acknowledged(let request): acknowledged.insert(request)
                case .refused(let request, _, _): waiting.append(Int(request))
                case .failed: break
                }
            }
        }
        #expect(failures == 4)
        #expect(acknowledged.count == results.count)
        withExtendedLifetime(broker) {}
    }
}
