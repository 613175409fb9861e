import Testing

@testable import Core

/// A refused call is isolated until only its faulty hosts are left.
@Suite struct IsolationTests {
    /// The outcome of a run of one batch with some faulty hosts.
    struct Outcome {
        var bench: PipelineHarness
        var calls = 0
        var reads = 0
    }

    enum Evidence { case complete, none, failing }

    /// Each host has a request of its own, and all requests share one call.
    static func run(hosts: Int, faulty: Set<Int>, evidence: Evidence) -> Outcome {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 200
        }
        bench.receive(key: "first", hosts: ["first"], plugin: "other")
        for host in 0..<hosts { bench.receive(key: "k\(host)", hosts: ["h\(host)"]) }
        bench.answer(200)
        let bad = Set(faulty.map { "h\($0)" })
        var (calls, reads) = (0, 0)
        bench.play(5_000) { bench, call in
            calls += 1
            if call.hostIDs.contains(where: bad.contains) {
                bench.answer(400, code: "HSS.1001", text: "no agent")
            } else {
                bench.answer(200)
            }
        } read: { bench in
            reads += 1
            switch evidence {
            case .complete:
                bench.tell { bad.contains($0) ? ("not_installed", "not_installed") : ("stopped", "online") }
            case .none: bench.tell { _ in ("stopped", "online") }
            case .failing: bench.refuseRead(500)
            }
        }
        return Outcome(bench: bench, calls: calls, reads: reads)
    }

    static func check(_ outcome: Outcome, hosts: Int, faulty: Set<Int>, _ location: SourceLocation = #_sourceLocation) {
        #expect(outcome.bench.pipeline.openCount == 0, sourceLocation: location)
        #expect(outcome.bench.results.count == hosts + 1, sourceLocation: location)
        for result in outcome.bench.results where result.fields.idempotencyKey != "first" {
            let number = Int(result.fields.idempotencyKey?.dropFirst() ?? "") ?? -1
            let expected: Status = faulty.contains(number) ? .failed : .succeeded
            #expect(result.status == expected, "host \(number)", sourceLocation: location)
            if expected == .failed { #expect(result.failure?.code == "HSS.1001", sourceLocation: location) }
        }
    }

    static func bound(hosts: Int, faulty: Int) -> Int {
        var depth = 0
        while 1 << depth < hosts { depth += 1 }
        return 1 + 2 * faulty * depth
    }

    @Test func `an unacknowledged result keeps its partition while a read of its hosts is answered`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.acknowledges = false
        bench.receive(
            key: "k", hosts: ["h1", "bad"], more: #","expires_at":"\#(bench.now.wall + .seconds(30))""#)
        bench.answer(400, code: "HSS.1001")
        #expect(bench.queries.count == 1 && bench.results.count == 1, "no call can be made in time")
        bench.hand(.revoked([0], isLost: false, deadline: bench.now.uptime + .seconds(25)))
        bench.tell { _ in ("stopped", "online") }
        #expect(bench.released.isEmpty)
        bench.acknowledge()
        #expect(bench.released == [0] && bench.stored[0] == 1)
    }

    @Test(arguments: 2...10) func `every set of faulty hosts: the other hosts succeed within the bound`(_ hosts: Int) {
        for set in 0..<(1 << hosts) {
            let faulty = Set((0..<hosts).filter { set >> $0 & 1 == 1 })
            let halved = Self.run(hosts: hosts, faulty: faulty, evidence: set % 2 == 0 ? .none : .failing)
            Self.check(halved, hosts: hosts, faulty: faulty)
            #expect(halved.calls <= Self.bound(hosts: hosts, faulty: faulty.count))
            let told = Self.run(hosts: hosts, faulty: faulty, evidence: .complete)
            Self.check(told, hosts: hosts, faulty: faulty)
            #expect(told.calls <= 2 && told.reads <= 1)
        }
    }

    @Test(arguments: 0..<30) func `random sets of many hosts`(_ seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        let hosts = Int.random(in: 20...200, using: &generator)
        let faulty = Set(
            (0..<Int.random(in: 1...5, using: &generator)).map { _ in Int.random(in: 0..<hosts, using: &generator) })
        let halved = Self.run(hosts: hosts, faulty: faulty, evidence: .none)
        Self.check(halved, hosts: hosts, faulty: faulty)
        #expect(halved.calls <= Self.bound(hosts: hosts, faulty: faulty.count))
        let told = Self.run(hosts: hosts, faulty: faulty, evidence: .complete)
        Self.check(told, hosts: hosts, faulty: faulty)
        #expect(told.calls <= 3)
    }

    @Test func `a request with some hosts refused is partially succeeded and names each`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", hosts: ["good", "bad", "fine"])
        bench.answer(400, code: "HSS.1001", text: "no agent")
        bench.tell { $0 == "bad" ? ("not_installed", "not_installed") : ("stopped", "online") }
        bench.answer(200)
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results[0].failedHosts.map(\.hostID) == ["bad"])
        #expect(bench.results[0].failedHosts[0].failure.code == "HSS.1001")
    }

    @Test func `a faulty host is called separately and last for a while, and only a call fails it`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", hosts: ["bad"])
        bench.answer(400, code: "HSS.1001", text: "no agent")
        #expect(bench.statuses == [.failed])
        bench.receive(key: "b", hosts: ["bad"], more: #","priority":"critical""#)
        bench.receive(key: "c", hosts: ["good"], more: #","priority":"bulk""#)
        bench.pass(.seconds(60))
        #expect(bench.calls.map(\.hostIDs) == [["good"]])
        bench.answer(200)
        bench.pass(.seconds(60))
        #expect(bench.calls.map(\.hostIDs) == [["bad"]])
        bench.answer(400, code: "HSS.1001")
        #expect(bench.statuses == [.failed, .succeeded, .failed])

        bench.receive(key: "d", hosts: ["bad", "fine"])
        bench.pass(.seconds(60))
        #expect(bench.calls.map(\.hostIDs) == [["fine"]])
        bench.answer(200)
        bench.pass(.seconds(60))
        bench.answer(200)
        #expect(bench.statuses.last == .succeeded)
        bench.receive(key: "e", hosts: ["bad", "fine"])
        bench.pass(.seconds(60))
        #expect(bench.calls.map(\.hostIDs) == [["bad", "fine"]], "mended, and so together with others")
    }

    @Test func `the read after a refused call includes the next hosts in line, and quarantines faulty ones`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 2
        }
        bench.receive(key: "a", hosts: ["good1", "bad1"])
        bench.receive(key: "b", hosts: ["good2", "bad2"])
        bench.receive(key: "c", hosts: ["good3"])
        bench.answer(400, code: "HSS.1001")
        #expect(bench.queries.map(\.hostIDs) == [["good1", "bad1", "good2", "bad2", "good3"]])
        bench.tell { $0.hasPrefix("bad") ? ("not_installed", "not_installed") : ("stopped", "online") }
        var calls: [[String]] = []
        bench.play(100) { bench, call in
            calls.append(call.hostIDs)
            bench.answer(call.hostIDs.contains("bad2") ? 400 : 200, code: "HSS.1001")
        } read: { _ in
        }
        #expect(calls == [["good3"], ["good1", "good2"], ["bad2"]])
        #expect(bench.statuses == [.succeeded, .partiallySucceeded, .partiallySucceeded])
    }

    @Test func `each of several faulty hosts has the code of a call that was refused for it`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", hosts: ["good", "bad", "gone", "lost"])
        bench.play(100) { bench, call in
            let code = call.hostIDs.contains("bad") ? "HSS.1001" : "HSS.0011"
            bench.answer(call.hostIDs == ["good"] ? 200 : 400, code: code)
        } read: { bench in
            bench.tell { $0 == "bad" ? ("not_installed", "not_installed") : $0 == "good" ? ("stopped", "online") : nil }
        }
        #expect(bench.statuses == [.partiallySucceeded])
        let codes = (bench.results.first?.failedHosts ?? []).map { "\($0.hostID) \($0.failure.code)" }
        #expect(codes.sorted() == ["bad HSS.1001", "gone HSS.0011", "lost HSS.0011"])
    }

    @Test func `hosts that a lost call started are not called again, and the result shows it`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", hosts: ["a", "b"])
        bench.lose()
        #expect(bench.queries.map(\.hostIDs) == [["a", "b"]])
        bench.tell { $0 == "a" ? ("running", "online") : ("stopped", "online") }
        for _ in 0..<5 where bench.calls.isEmpty { bench.pass(.seconds(1)) }
        #expect(bench.calls.map(\.hostIDs) == [["b"]])
        bench.answer(200)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].evidence == "observed")
    }

    @Test(arguments: [1, StatusReads.maximumFailuresOfLost])
    func `after a lost answer a failed read is retried before a call`(failures: Int) {
        var bench = PipelineHarness()
        bench.receive(key: "k", hosts: ["a"])
        bench.lose()
        for _ in 0..<failures {
            for _ in 0..<60 where bench.queries.isEmpty { bench.pass(.seconds(1)) }
            #expect(bench.calls.isEmpty)
            bench.refuseRead(503)
        }
        if failures < StatusReads.maximumFailuresOfLost {
            for _ in 0..<60 where bench.queries.isEmpty { bench.pass(.seconds(1)) }
            #expect(bench.calls.isEmpty)
            bench.tell { _ in ("running", "online") }
            #expect(bench.results.map(\.evidence) == ["observed"])
        } else {
            for _ in 0..<60 where bench.calls.isEmpty { bench.pass(.seconds(1)) }
            bench.answer(200)
        }
        #expect(bench.statuses == [.succeeded])
    }

    @Test func `an offline agent is retried separately until the budget ends`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(300) }
        bench.receive(key: "k", hosts: ["good", "away"])
        bench.answer(400, code: "HSS.1007", text: "offline")
        bench.tell { $0 == "away" ? ("offline", "offline") : ("stopped", "online") }
        #expect(bench.calls.map(\.hostIDs) == [["good"]])
        bench.answer(200)
        var calls = 0
        bench.play(100) { bench, call in
            calls += 1
            bench.answer(400, code: "HSS.1007", text: "offline")
        } read: { _ in
        }
        #expect((5...25).contains(calls), "\(calls)")
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results[0].failedHosts[0].failure.code == "HSS.1007")
    }

    @Test func `a request that is moved to quarantine waits only there`() throws {
        let json = #"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["h"]}"#
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: Array(json.utf8))
        let scope = Scope(try RequestDecoder(maximumBytes: 2048, policy: Policy()).decode(record).get())
        var apart = scope
        apart.lane = .quarantined
        var coalescer = Coalescer(hostsPerCall: 4)
        for (id, hosts) in [["h1", "h2"], ["h3", "h4", "h5"], ["bad"]].enumerated() {
            coalescer.add(RequestID(id), scope: scope, priority: .normal, hosts: hosts, arrived: .zero)
        }
        // The third request fits beside the first, and the second does not. So the third leaves the line from the
        // middle.
        #expect(coalescer.next(now: .zero)?.hosts == ["h1", "h2", "bad"])
        coalescer.add(2, scope: apart, priority: .normal, hosts: ["bad"], arrived: .zero)
        #expect(coalescer.next(now: .zero)?.hosts == ["h3", "h4", "h5"])
        #expect(coalescer.next(now: .zero)?.parts.map(\.request) == [2])
        #expect(coalescer.next(now: .zero) == nil)
        #expect(coalescer.waitingCount == 0)
    }

    @Test func `a request in two parts of a call loses neither when faulty hosts are removed`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 10
        }
        bench.receive(key: "first", hosts: ["x", "y", "z"], plugin: "other")
        // Both faulty hosts are found while the other requests already wait.
        bench.receive(key: "small", hosts: ["x"] + (0..<3).map { "g\($0)" })
        bench.receive(key: "large", hosts: (0..<7).map { "r\($0)" } + ["y"] + (7..<30).map { "r\($0)" })
        bench.answer(400, code: "HSS.1001")
        bench.play(2_000) { bench, call in
            bench.answer(call.hostIDs.contains("x") || call.hostIDs.contains("y") ? 400 : 200, code: "HSS.1001")
        } read: { bench in
            bench.tell { ["x", "y"].contains($0) ? ("not_installed", "not_installed") : ("stopped", "online") }
        }
        #expect(bench.pipeline.openCount == 0)
        #expect(bench.statuses == Array(repeating: .partiallySucceeded, count: 3))
        #expect(bench.results.allSatisfy { $0.failedHosts.allSatisfy { ["x", "y"].contains($0.hostID) } })
    }
}
