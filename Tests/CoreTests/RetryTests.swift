import Testing

@testable import Core

@Suite struct RetryTests {
    @Test func `a transient failure is retried with growing pauses until the budget ends`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(600) }
        bench.receive(key: "k")
        var tries = 0
        for _ in 0..<1000 where bench.results.isEmpty {
            if bench.calls.isEmpty {
                guard let deadline = bench.pipeline.deadline(bench.now) else { break }
                bench.pass(max(.milliseconds(1), deadline - bench.now.uptime))
            } else {
                tries += 1
                bench.answer(503)
            }
        }
        #expect(bench.statuses == [.failed])
        #expect(bench.results[0].attempts == tries)
        #expect(tries > 5 && tries < 100)
        #expect(bench.results[0].failure?.category == .transient)
    }

    @Test func `a call whose answer was lost is retried`() {
        var bench = PipelineHarness()
        bench.receive(key: "k")
        bench.lose()
        #expect(bench.calls.isEmpty)
        bench.tell { _ in ("stopped", "online") }
        bench.settle()
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].attempts == 2)
        #expect(bench.results[0].evidence == nil)
    }

    @Test func `a throttled call costs no attempt and waits a full window`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        bench.receive(key: "k")
        let sentAt = bench.now.uptime
        bench.answer(429, code: "APIGW.0308")
        bench.pass(.seconds(59))
        #expect(bench.calls.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.calls.count == 1)
        #expect(bench.now.uptime - sentAt >= .seconds(60))
        bench.answer(200)
        #expect(bench.results[0].attempts == 1)
    }

    @Test func `the time in line does not count against the retry budget`() {
        var bench = PipelineHarness {
            $0.retryFor = .seconds(100)
            $0.quota = RateLimit(calls: 1, window: .seconds(600))
        }
        bench.receive(key: "a", plugin: "x")
        bench.answer(200)
        bench.receive(key: "b", plugin: "y")
        bench.pass(.seconds(600))
        bench.answer(503)
        #expect(bench.statuses == [.succeeded], "its first failure, ten minutes after it came")
        bench.pass(.seconds(600))
        bench.answer(503)
        #expect(bench.statuses == [.succeeded, .failed], "the budget is over")
    }

    @Test func `when calls fail in a row one probe at a time goes out, and nothing fails within the budget`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(900) }
        for n in 0..<10 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        #expect(bench.calls.count == 10)
        for _ in 0..<10 { bench.answer(503) }
        var probes = 0
        let ends = bench.now.uptime + .seconds(890)
        while bench.now.uptime < ends {
            #expect(bench.calls.count <= 1)
            if bench.calls.isEmpty {
                guard let deadline = bench.pipeline.deadline(bench.now) else { break }
                bench.pass(max(.milliseconds(1), deadline - bench.now.uptime))
            } else {
                probes += 1
                bench.answer(503)
            }
        }
        #expect(bench.results.isEmpty)
        #expect(probes > 10 && probes < 120)
        bench.settle()
        #expect(bench.statuses == Array(repeating: .succeeded, count: 10))
    }

    @Test func `attempts before a rebalance still count after it`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(600) }
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil,
            value: Array(#"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["h1"]}"#.utf8))
        bench.hand(.received([record]))
        bench.answer(503)
        bench.hand(.revoked([0], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.released == [0])
        bench.hand(.assigned(0, Ledger()))
        bench.hand(.received([record]))
        bench.settle()
        #expect(bench.results.map(\.attempts) == [2])
    }

    @Test func `an outage of five minutes, refused, hanging and cut off, fails no request and causes no storm`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        for n in 0..<200 { bench.receive(key: "k\(n)", hosts: ["h\(n)"], plugin: "x\(n % 4)") }
        let began = bench.now.uptime
        var during = 0
        bench.play(20_000) { bench, _ in
            let age = bench.now.uptime - began
            if age < .seconds(300) { during += 1 }
            if age < .seconds(180) {
                bench.answer(503)
            } else if age >= .seconds(300) {
                bench.answer(200)
            } else {
                // Hangs until the call's time is over, then connections are reset at once.
                if age < .seconds(240) { bench.pass(.seconds(30)) }
                bench.lose()
            }
        } read: { bench in
            if bench.now.uptime - began >= .seconds(300) {
                bench.tell { _ in ("stopped", "online") }
            } else {
                bench.refuseRead(503)
            }
        }
        print("calls in an outage of five minutes: \(during)")
        #expect(bench.statuses == Array(repeating: .succeeded, count: 200))
        #expect(during <= 25, "the quota's worth at most")
        #expect(bench.stored == [0: 200])
    }

    @Test func `a scope that waits for its pause delays no other`() {
        var bench = PipelineHarness()
        bench.receive(key: "a", project: "x")
        var pause: Duration { (bench.pipeline.deadline(bench.now) ?? bench.now.uptime) - bench.now.uptime }
        for _ in 0..<200 where pause < .seconds(10) {
            if !bench.calls.isEmpty {
                bench.answer(400, code: "HSS.1007")
            } else if !bench.queries.isEmpty {
                bench.tell { _ in ("stopped", "offline") }
            } else {
                bench.pass(.seconds(1))
            }
        }
        #expect(pause >= .seconds(10))
        // The host is offline, and its next call a long way off.
        #expect(bench.calls.isEmpty && bench.pipeline.openCount == 1)
        bench.receive(key: "b", hosts: ["h"], project: "y")
        #expect(bench.calls.map(\.projectID) == ["y"])
    }

    @Test func `a temporary failure is not the error of a partial success`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "k", hosts: ["bad", "h2"])
        bench.answer(400, code: "HSS.1001")
        bench.tell { $0 == "bad" ? ("not_installed", "not_installed") : ("stopped", "online") }
        bench.settleFor(.seconds(59))
        bench.pass(.seconds(2))
        bench.answer(503)
        for _ in 0..<10 {
            bench.tell { _ in ("stopped", "online") }
            bench.settleFor(.seconds(60))
        }
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results.first?.failure?.code == "HSS.1001")
    }
}
