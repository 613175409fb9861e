import Testing

@testable import Core

@Suite struct ExpiryTests {
    @Test func `expiry while waiting answers expired and makes no call`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        let soon = (bench.now.wall + .seconds(5)).description
        bench.receive(key: "b", plugin: "y", more: #","expires_at":"\#(soon)""#)
        bench.answer(200)
        bench.pass(.seconds(6))
        #expect(bench.statuses == [.expired, .succeeded])
        #expect(bench.calls.isEmpty)
        #expect(bench.stored == [0: 2])
    }

    @Test func `a request that no call can serve before it expires ends at once, and none is called later`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        let soon = (bench.now.wall + .seconds(50)).description
        let later = (bench.now.wall + .seconds(70)).description
        bench.receive(key: "b", plugin: "y", more: #","expires_at":"\#(soon)""#)
        #expect(bench.statuses == [.expired], "the one slot is free a window after an answer that is still to come")
        bench.receive(key: "c", plugin: "z", more: #","expires_at":"\#(later)""#)
        bench.answer(200)
        bench.pass(.seconds(60))
        bench.answer(503)
        #expect(bench.statuses == [.expired, .succeeded, .failed], "the next slot comes too late for another try")
        #expect(bench.results[2].failure?.code == "HTTP 503")
    }

    @Test func `the wall-clock time at which a call would go decides about expiry`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        bench.answer(200)
        bench.receive(key: "b", plugin: "y", more: #","expires_at":"\#(bench.now.wall + .seconds(3600))""#)
        bench.pass(.seconds(30))
        bench.now.wall = bench.now.wall + .seconds(3600)
        bench.pass(.seconds(31))
        #expect(bench.statuses == [.succeeded, .expired] && bench.calls.isEmpty)
    }

    @Test func `a request that waits for the rest of its hosts is not called after it expires`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 2
        }
        let soon = (bench.now.wall + .seconds(30)).description
        bench.receive(key: "k", hosts: ["h1", "h2", "h3"], more: #","expires_at":"\#(soon)""#)
        bench.pass(.seconds(31))
        bench.answer(200)
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results.first?.failedHosts.map(\.hostID) == ["h3"])
        bench.settleFor(.seconds(120))
        #expect(bench.calls.isEmpty)
    }

    @Test func `expiry after some hosts were seen as started names the others`() {
        var bench = PipelineHarness()
        let soon = (bench.now.wall + .seconds(20)).description
        bench.receive(key: "k", hosts: ["h1", "h2", "h3"], more: #","expires_at":"\#(soon)""#)
        bench.lose()
        bench.tell { $0 == "h3" ? ("running", "online") : ("stopped", "online") }
        for _ in 0..<20 where bench.results.isEmpty {
            bench.pass(.seconds(5))
            while !bench.calls.isEmpty { bench.answer(503) }
        }
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results.first?.failedHosts.map(\.hostID) == ["h1", "h2"])
    }

    @Test func `a closed gate expires no request early`() {
        var bench = PipelineHarness()
        bench.receive(key: "a")
        bench.answer(401, code: "APIGW.0301")
        bench.answer(401, code: "APIGW.0301")
        let soon = (bench.now.wall + .seconds(15)).description
        bench.receive(key: "b", plugin: "x", more: #","expires_at":"\#(soon)""#)
        #expect(bench.results.isEmpty)
        bench.hand(.credentialChanged)
        bench.settleFor(.seconds(5))
        #expect(bench.statuses == [.succeeded, .succeeded])
    }
}
