import Testing

@testable import Core

/// A result answers the record that it was made for, and no other record at the same offset.
@Suite struct RecordIdentityTests {
    static let wall = Timestamp(milliseconds: 1_767_225_600_000)

    static func record(
        _ offset: Int64 = 0, timestamp: Timestamp? = wall, key: String? = "k", value: String? = "v",
        headers: [Header] = []
    ) -> Record {
        Record(
            position: Position(partition: 0, offset: offset), timestamp: timestamp, key: key.map { Array($0.utf8) },
            value: value.map { Array($0.utf8) }, headers: headers)
    }

    @Test func `a difference in any field makes another record`() {
        let records = [
            Self.record(), Self.record(1), Self.record(timestamp: nil), Self.record(timestamp: Self.wall + .seconds(1)),
            Self.record(key: "kv", value: ""), Self.record(key: nil), Self.record(key: "", value: "kv"),
            Self.record(value: nil), Self.record(value: "w"), Self.record(headers: [Header("a", "b")]),
            Self.record(headers: [Header("ab", "")]), Self.record(headers: [Header("ab", nil)]),
        ]
        let identities = records.map { $0.identity(topic: "t") } + [Self.record().identity(topic: "u")]
        #expect(Set(identities).count == identities.count)
        #expect(Self.record().identity(topic: "t") == Self.record().identity(topic: "t"))
    }

    /// A worker that reads `topic` from its start, after it restored the results of `before`.
    private func takeOver(_ before: PipelineHarness, topic: String = "t", form: (LedgerEntry) -> LedgerEntry = { $0 })
        -> PipelineHarness
    {
        var ledger = Ledger(topic: topic)
        for result in before.results {
            ledger.restore(form(LedgerEntry(result, topic: "t")))
        }
        var after = PipelineHarness(partitions: []) { $0.requestsTopic = topic }
        after.now = before.now
        after.hand(.assigned(0, ledger))
        return after
    }

    private static func played() -> PipelineHarness {
        var bench = PipelineHarness { $0.requestsTopic = "t" }
        bench.receive(key: "a")
        bench.receive(key: "b")
        bench.receive("no json")
        bench.settle()
        return bench
    }

    @Test func `the same records get no second result, and that is logged`() {
        var after = takeOver(Self.played())
        after.receive(key: "a")
        after.receive(key: "b")
        after.receive("no json")
        #expect(after.results.isEmpty && after.calls.isEmpty && after.stored == [0: 3])
        #expect(after.notes == (0..<3).map { .skipped(Position(partition: 0, offset: $0)) })
    }

    @Test func `records of a recreated topic are answered, although their offsets have results`() {
        var after = takeOver(Self.played())
        after.now.wall = after.now.wall + .seconds(1)
        after.receive(key: "c")
        after.receive(key: "b")
        after.receive("no json")
        after.settle()
        #expect(after.statuses.sorted { $0.rawValue < $1.rawValue } == [.duplicate, .rejected, .succeeded])
        #expect(after.notes.count { if case .anothersResult = $0 { true } else { false } } == 3)
    }

    @Test func `results of another requests topic answer no request, not even a repeat`() {
        var after = takeOver(Self.played(), topic: "u")
        after.receive(key: "a")
        after.receive(key: "b")
        after.settle()
        #expect(after.statuses == [.succeeded, .succeeded])
    }

    @Test func `results of another requests topic show when the last call was made`() {
        var before = PipelineHarness { $0.requestsTopic = "t" }
        before.receive(key: "a")
        before.answer(200)
        var ledger = Ledger(topic: "u")
        for result in before.results {
            ledger.restore(LedgerEntry(result, topic: "t"))
        }
        #expect(ledger.ofOtherTopics == 1 && ledger.count == 0)
        #expect(ledger.lastResultAt == before.results[0].completedAt)
    }

    private static func versionOne(_ entry: LedgerEntry) -> LedgerEntry {
        var entry = entry
        entry.source = nil
        return entry
    }

    @Test func `records that were answered before an upgrade get no second result after it`() {
        var after = takeOver(Self.played(), form: Self.versionOne)
        // The producer's clock is ahead of the worker's.
        after.now.wall = after.now.wall + .seconds(60)
        after.receive(key: "a")
        after.receive(key: "b")
        #expect(after.results.isEmpty && after.calls.isEmpty && after.stored == [0: 2])
        after.now.wall = after.now.wall + .seconds(-60)
        after.receive("no json")
        #expect(after.results.isEmpty && after.stored == [0: 3])
    }

    @Test func `an old header does not answer another key, another action or a later record`() {
        var after = takeOver(Self.played(), form: Self.versionOne)
        after.receive(key: "c")
        after.receive(key: "b", hosts: ["another"])
        after.now.wall = after.now.wall + .seconds(1)
        after.receive("no json")
        after.settle()
        #expect(after.statuses == [.conflict, .rejected, .succeeded] || after.results.count == 3)
        var later = takeOver(Self.played(), form: Self.versionOne)
        later.now.wall = later.now.wall + .seconds(301)
        later.receive(key: "a")
        #expect(later.statuses == [.duplicate])
    }

    @Test func `attempts of a record are not carried over to another record at its offset`() {
        var bench = PipelineHarness { $0.requestsTopic = "t" }
        bench.receive(key: "a")
        bench.answer(503, code: "x")
        bench.hand(.revoked([0], isLost: true, deadline: .zero))
        var after = bench
        after.hand(.assigned(0, Ledger(topic: "t")))
        after.hand(.received([Self.record(value: RequestDecoderTests.good)]))
        after.settle()
        #expect(after.results.first?.attempts == 1)
    }

    @Test func `a recreated log is logged, and none of it is taken or stored before the rejoin`() {
        var bench = PipelineHarness { $0.requestsTopic = "t" }
        bench.receive(key: "a")
        bench.answer(200)
        bench.receive(key: "b")
        #expect(bench.stored == [0: 1])
        bench.hand(.received([Self.record(0, value: RequestDecoderTests.good)]))
        #expect(bench.takenAnew == [0: 0])
        #expect(bench.notes.last == .wentBack(Position(partition: 0, offset: 0), highest: 1, open: 1))
        #expect(bench.pipeline.stalePartitions == [0])
        bench.hand(.received([Self.record(1, value: RequestDecoderTests.good)]))
        bench.settle()
        #expect(bench.statuses == [.succeeded, .succeeded], "what was in flight is answered")
        #expect(bench.stored == [0: 1], "and its offset is not one of the new log")
        bench.hand(.assigned(0, Ledger(topic: "t")))
        #expect(bench.pipeline.stalePartitions.isEmpty)
    }

    @Test func `a log that ends before the last offset read was recreated`() {
        var bench = PipelineHarness()
        bench.receive(key: "a")
        bench.settle()
        bench.hand(.reachedEnd(Position(partition: 0, offset: 1)))
        #expect(bench.takenAnew.isEmpty)
        bench.hand(.reachedEnd(Position(partition: 0, offset: 0)))
        #expect(bench.takenAnew == [0: 0])
    }

    @Test func `a record below the start offset shows that the log was recreated`() {
        var bench = PipelineHarness(partitions: [])
        bench.hand(.assigned(0, Ledger(records: 5..<9, start: 9)))
        bench.receive(key: "k")
        #expect(
            bench.results.isEmpty && bench.calls.isEmpty, "it is at offset 0: nothing is taken before all is read anew")
    }
}
