import Testing

@testable import Core

@Suite struct PublishingTests {
    @Test func `a full intake pauses after a moment and resumes at half`() {
        var bench = PipelineHarness {
            $0.maximumOpen = 4
            $0.hostsPerCall = 1
        }
        for n in 0..<4 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        #expect(!bench.pipeline.wantsRecords())
        #expect(bench.paused.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.paused == [0])
        bench.answer(200)
        #expect(bench.paused == [0])
        bench.answer(200)
        #expect(bench.paused.isEmpty)
        #expect(bench.pipeline.wantsRecords())
    }

    @Test func `a result that was not accepted is sent again`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "a")
        bench.answer(200)
        bench.hand(.publishFailed(bench.unacknowledged.removeFirst(), reason: "no"))
        #expect(bench.results.count == 1)
        bench.pass(.seconds(1))
        #expect(bench.results.count == 2)
        bench.acknowledge()
        #expect(bench.stored == [0: 1])
    }

    @Test func `a result too large for the topic is sent with less in it`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "a", hosts: ["h1", "h2"], more: #","reason":"long","correlation_id":"c""#)
        bench.answer(200)
        bench.hand(.publishFailed(bench.unacknowledged.removeFirst(), reason: "size", isTooLarge: true))
        #expect(bench.results.last?.fields.reason == nil)
        #expect(bench.results.last?.fields.hostIDs == ["h1", "h2"])
        bench.hand(.publishFailed(bench.unacknowledged.removeFirst(), reason: "size", isTooLarge: true))
        #expect(bench.results.last?.fields.hostIDs == [])
        #expect(bench.results.last?.fields.correlationID == "c")
        bench.acknowledge()
        #expect(bench.stored == [0: 1])
    }

    @Test func `results that are not accepted stop the intake until they are`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "k")
        bench.answer(200)
        bench.pass(.seconds(4))
        #expect(bench.pipeline.wantsRecords())
        bench.pass(.seconds(2))
        #expect(!bench.pipeline.wantsRecords())
        #expect(bench.pipeline.unwrittenFor(bench.now.uptime) == .seconds(6))
        bench.pass(.seconds(2))
        #expect(bench.paused == [0])
        bench.acknowledge()
        #expect(bench.paused.isEmpty && bench.pipeline.wantsRecords())
    }

    @Test func `the record of a failed or rejected request becomes a dead letter, and no other`() throws {
        var bench = PipelineHarness {
            $0.deadLetters = [.failed, .rejected]
            $0.hostsPerCall = 1
            $0.retryFor = .zero
        }
        bench.receive("not JSON", key: "x", headers: [Header("h", "1"), Header("null", nil)])
        for (key, reply) in [("good", 200), ("bad", 403), ("later", 503)] {
            bench.receive(key: key, plugin: key)
            bench.answer(reply)
        }
        bench.receive(key: "bad", plugin: "bad")
        #expect(bench.results.map(\.status) == [.rejected, .succeeded, .failed, .failed, .duplicate])
        #expect(bench.deadLetters.map(\.disposition) == [.poison, .poison, .outage])
        let letter = try #require(bench.deadLetters.first)
        #expect(letter.record.value == Array("not JSON".utf8) && letter.record.key == Array("x".utf8))
        let headers = ResultWriter(requestsTopic: "r").headers(letter)
        #expect(headers.prefix(2) == [Header("h", "1"), Header("null", nil)])
        let written = Dictionary(
            headers.map { ($0.name, String(decoding: $0.value ?? [], as: UTF8.self)) }, uniquingKeysWith: { $1 })
        #expect(written["dlq-code"] == "invalid" && written["dlq-disposition"] == "poison")
        #expect(written["dlq-topic"] == "r" && written["dlq-partition"] == "0" && written["dlq-offset"] == "0")
        #expect(written["dlq-result-id"] == "r/0/0/rejected" && written["dlq-attempts"] == "0")
        #expect(written["dlq-timestamp"] == "2026-01-01T00:00:00.000Z" && written["dlq-version"] == Version.text)
        #expect(written["dlq-reason"]?.hasPrefix("Not a valid request: value must be JSON") ?? false)
    }

    @Test func `a request that expired while it was throttled is no dead letter`() {
        var bench = PipelineHarness { $0.deadLetters = [.failed, .rejected] }
        bench.receive(key: "late", more: #","expires_at":"2026-01-01T00:01:00Z""#)
        bench.answer(429)
        bench.pass(.seconds(61))
        #expect(bench.results.count == 1 && bench.deadLetters.isEmpty)
    }

    @Test func `a result that is too large keeps its failed hosts for as long as possible`() throws {
        var result = try #require(ResultExampleTests.results().first { $0.status == .partiallySucceeded })
        result.failedHosts[0].failure.detail = String(repeating: "x", count: 1000)
        let names = result.failedHosts.map(\.hostID)
        var steps = 0
        while let shorter = result.shorter, !shorter.failedHosts.isEmpty {
            result = shorter
            steps += 1
            #expect(result.failedHosts.map(\.hostID) == names)
            #expect(result.failedHosts.allSatisfy { $0.failure.code == "HSS.1001" })
        }
        #expect(steps == 3 && result.fields.hostIDs.isEmpty)
        #expect(result.shorter?.failedHosts == [])
    }

    @Test func `a result of any size can be made to fit`() {
        var result = StartResult(
            status: .rejected, fields: RequestFields(), position: Position(partition: 0, offset: 0),
            recordKey: Array(repeating: 65, count: 1_000_000), completedAt: Timestamp(milliseconds: 0))
        result.fields.trace.state = String(repeating: "x", count: 1_000_000)
        while let shorter = result.shorter { result = shorter }
        let record = ResultWriter(requestsTopic: "r").record(result)
        #expect(record.key.count + record.value.count < 2_000)
        #expect(record.headers.allSatisfy { ($0.value?.count ?? 0) < 1_000 })
    }
}
