import Testing

@testable import Core
@testable import Kafka
@testable import Worker

@Suite struct PublisherTests {
    @Test func `results are written although the producer fails fatally again and again`() throws {
        let broker = try MockBroker(topics: [("r", 3)])
        let kafka = ClientConfiguration(bootstrapServers: broker.bootstrapServers)
        let options = Worker.Options(
            kafka: kafka, requestsTopic: "q", resultsTopic: "r", group: "g",
            pipeline: Pipeline.Configuration(quota: nil), shutdownTimeout: .seconds(1), sessionTimeout: .seconds(10))
        let publisher = try Publisher(
            kafka, topic: "r", requestsTopic: "q",
            StatusReporter(options, Log(level: .error, format: .text)))
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
                case .refused(let request, _): waiting.append(Int(request))
                case .failed: break
                }
            }
        }
        #expect(failures == 4)
        #expect(acknowledged.count == results.count)
        withExtendedLifetime(broker) {}
    }
}
