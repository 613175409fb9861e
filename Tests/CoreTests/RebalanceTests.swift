import Testing

@testable import Core

@Suite struct RebalanceTests {
    /// A worker that calls for its group, with two calls a minute.
    static func caller() -> PipelineHarness {
        PipelineHarness(partitions: [0, 1]) {
            $0.quota = RateLimit(calls: 2, window: .seconds(60))
            $0.needsLease = true
        }
    }

    @Test func `a revoke waits for calls in flight, stores their offsets, and leaves the rest`() {
        var bench = PipelineHarness(partitions: [0, 1]) { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        bench.receive(key: "b", plugin: "y")
        bench.hand(.revoked([0], isLost: false, deadline: bench.now.uptime + .seconds(20)))
        #expect(bench.released.isEmpty)
        bench.receive(key: "c")
        bench.answer(200)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.stored == [0: 1])
        #expect(bench.released == [0])
        #expect(bench.pipeline.assignedPartitions == [1])
    }

    @Test func `a lost partition stores nothing and a late answer is dropped`() {
        var bench = PipelineHarness()
        bench.receive(key: "a")
        bench.hand(.revoked([0], isLost: true, deadline: .zero))
        #expect(bench.released == [0])
        bench.answer(200)
        #expect(bench.results.isEmpty)
        #expect(bench.stored.isEmpty)
    }

    @Test func `a drain finishes calls, leaves waiting requests, and reports its end`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        bench.receive(key: "b", plugin: "y")
        bench.hand(.drain)
        #expect(!bench.isDrained)
        bench.answer(200)
        #expect(bench.isDrained)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.stored == [0: 1])
    }

    @Test func `no call goes before this worker is the caller, nor after its lease expires`() {
        var bench = Self.caller()
        bench.receive(key: "a", hosts: ["a"])
        bench.pass(.seconds(1))
        #expect(bench.calls.isEmpty)
        bench.hand(.tookOver(.none))
        #expect(bench.calls.isEmpty, "the lease is not granted yet")
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        #expect(bench.calls.count == 1)
        bench.answer(200)
        bench.pass(.seconds(9))
        bench.receive(key: "b", hosts: ["b"])
        bench.pass(.seconds(1))
        #expect(bench.calls.isEmpty, "another worker may be the caller by now")
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        #expect(bench.calls.count == 1)
    }

    @Test func `partition 0 is released last, with a handover of the slots in use`() {
        var bench = Self.caller()
        bench.hand(.tookOver(.none))
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        bench.receive(key: "a", partition: 1)
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.released.isEmpty, "a call is on its way")
        bench.answer(200)
        #expect(bench.released == [1, 0])
        #expect(bench.handovers[1] == nil)
        #expect(bench.handovers[0]?.start == [bench.now.wall + .seconds(60)])
        bench.hand(.assigned(0, Ledger()))
        bench.receive(key: "b", partition: 0)
        #expect(bench.calls.isEmpty, "the lease is gone")
    }

    @Test func `a caller knows the refusals of its predecessor`() throws {
        var first = Self.caller()
        first.hand(.tookOver(.none))
        first.hand(.leased(until: first.now.uptime + .seconds(900)))
        for host in 0..<3 {
            first.receive(key: "k\(host)", project: "p\(host)")
            while first.calls.isEmpty { first.pass(.seconds(10)) }
            first.answer(401, code: "APIGW.0301")
        }
        first.hand(.revoked([0, 1], isLost: false, deadline: first.now.uptime + .seconds(10)))
        let handover = try #require(first.handovers[0])
        #expect(handover.refusals.count == 3)
        var next = Self.caller()
        next.now = first.now
        next.hand(.tookOver(.handedOver(handover)))
        next.hand(.leased(until: next.now.uptime + .seconds(900)))
        next.receive(key: "new", project: "other")
        next.pass(handover.refusals[0] - first.now.wall + .seconds(299))
        #expect(next.calls.isEmpty, "six in a row lock the key")
        next.pass(.seconds(2))
        #expect(next.calls.count == 1)
    }

    @Test func `a worker that leaves before its takeover keeps the previous handover`() {
        var bench = Self.caller()
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.released == [1, 0])
        #expect(bench.handovers.isEmpty)
    }

    @Test func `a caller that regains its role counts its own calls once`() throws {
        var bench = Self.caller()
        bench.hand(.tookOver(.none))
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        bench.receive(key: "a", partition: 1)
        bench.answer(200)
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        let handover = try #require(bench.handovers[0])
        bench.hand(.assigned(0, Ledger()))
        bench.hand(.assigned(1, Ledger()))
        bench.hand(.tookOver(.handedOver(handover)))
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.handovers[0] == handover, "without a second for clocks that differ")
    }
}
