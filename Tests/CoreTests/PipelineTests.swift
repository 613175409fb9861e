import Testing

@testable import Core

@Suite struct PipelineTests {
    @Test func `a request is called, answered, published, and only then is its offset done`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "k", hosts: ["a", "b"])
        #expect(bench.calls.map(\.hostIDs) == [["a", "b"]])
        #expect(bench.stored.isEmpty)
        bench.answer(200)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].attempts == 1)
        #expect(bench.stored.isEmpty)
        bench.acknowledge()
        #expect(bench.stored == [0: 1])
        #expect(bench.pipeline.openCount == 0)
    }

    @Test func `offsets are stored up to the first open one, and gaps do not delay them`() {
        var bench = PipelineHarness { $0.hostsPerCall = 1 }
        for key in ["a", "b", "c"] { bench.receive(key: key, plugin: key) }
        bench.receive(#"{}"#, skipping: 5)
        #expect(bench.stored.isEmpty)
        let first = bench.calls.removeFirst()
        bench.answer(200)
        bench.answer(200)
        #expect(bench.stored.isEmpty)
        bench.calls = [first]
        bench.answer(200)
        #expect(bench.stored == [0: 9])
    }

    @Test func `a request larger than a call is split and gets one result`() {
        var bench = PipelineHarness { $0.hostsPerCall = 2 }
        bench.receive(key: "a", hosts: ["1", "2", "3", "4", "5"])
        bench.settle()
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].attempts == 3)
    }

    @Test func `waiting requests of one scope share a call`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "first", hosts: ["h"])
        for n in 0..<50 { bench.receive(key: "k\(n)", hosts: ["h\(n)", "shared"]) }
        bench.answer(200)
        bench.pass(.seconds(60))
        #expect(bench.calls.count == 1)
        #expect(bench.calls[0].hostIDs.count == 51)
        bench.answer(200)
        #expect(bench.statuses == Array(repeating: .succeeded, count: 51))
    }

    @Test func `with ordering by key the second waits for the first`() {
        var bench = PipelineHarness {
            $0.keepsKeyOrder = true
            $0.hostsPerCall = 1
        }
        bench.receive(key: "a", hosts: ["1"], recordKey: "same")
        bench.receive(key: "b", hosts: ["2"], recordKey: "same")
        bench.receive(key: "c", hosts: ["3"], recordKey: "other")
        #expect(bench.calls.map(\.hostIDs) == [["1"], ["3"]])
        bench.answer(200)
        #expect(bench.calls.map(\.hostIDs) == [["3"], ["2"]])
    }

    @Test func `another project's storm delays a single request by two windows at most`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        for n in 0..<3_000 { bench.receive(key: "storm\(n)", hosts: ["h\(n)"], project: "storm") }
        bench.settleFor(.seconds(30))
        bench.receive(key: "single", project: "other", more: #","priority":"normal""#)
        let asked = bench.now.uptime
        for _ in 0..<10_000 where !bench.results.contains(where: { $0.fields.idempotencyKey == "single" }) {
            bench.settleFor(.seconds(1))
        }
        #expect(bench.now.uptime - asked <= .seconds(120))
        #expect(bench.results.count < 3_000)
    }

    @Test func `a bulk request is not delayed for ever by critical ones`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 1
        }
        bench.receive(key: "bulk", hosts: ["bulk"], more: #","priority":"bulk""#)
        bench.receive(key: "bulk2", hosts: ["bulk2"], more: #","priority":"bulk""#)
        let asked = bench.now.uptime
        for n in 0..<60 where !bench.results.contains(where: { $0.fields.idempotencyKey == "bulk2" }) {
            bench.receive(key: "c\(n)", hosts: ["c\(n)"], more: #","priority":"critical""#)
            bench.receive(key: "d\(n)", hosts: ["d\(n)"], more: #","priority":"critical""#)
            bench.settleFor(.seconds(60))
        }
        #expect(bench.results.contains { $0.fields.idempotencyKey == "bulk2" })
        #expect(bench.now.uptime - asked <= .seconds(1800))
    }

    @Test func `classes go in their order, with the longest waiting first in each`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 1
        }
        bench.receive(key: "first", hosts: ["first"])
        for (n, priority) in ["bulk", "normal", "critical", "bulk", "normal", "critical"].enumerated() {
            bench.receive(key: "\(priority)\(n)", hosts: ["h\(n)"], more: #","priority":"\#(priority)""#)
            bench.pass(.milliseconds(10))
        }
        bench.settle()
        #expect(
            bench.results.map(\.fields.idempotencyKey)
                == ["first", "critical2", "critical5", "normal1", "normal4", "bulk0", "bulk3"])
    }

    @Test func `every result has a key, or its id if the request has none`() {
        var bench = PipelineHarness()
        bench.receive("no json")
        let record = ResultWriter(requestsTopic: "r").record(bench.results[0])
        #expect(record.key == Array("r/0/0/rejected".utf8))
    }

    @Test func `a partition's end is committed after its open requests, but not during a revoke`() {
        var bench = PipelineHarness(partitions: [0, 1])
        bench.hand(.reachedEnd(Position(partition: 1, offset: 7)))
        #expect(bench.stored == [1: 7])
        bench.receive(key: "k")
        bench.hand(.reachedEnd(Position(partition: 0, offset: 3)))
        #expect(bench.stored[0] == nil, "a record before it is open")
        bench.answer(200)
        #expect(bench.stored[0] == 3)
        bench.receive(key: "l", partition: 1)
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        bench.hand(.reachedEnd(Position(partition: 1, offset: 9)))
        #expect(bench.stored[1] == 7)
    }
}
