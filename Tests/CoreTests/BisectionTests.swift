import Testing

@testable import Core

/// What a refused call costs other requests. Halves wait in line, and a request that is wrong as a whole ends.
@Suite struct BisectionTests {
    /// The most calls that may be made to find out which hosts of one request are refused.
    static func cap(_ hosts: Int) -> Int {
        var depth = 0
        while 1 << depth < hosts { depth += 1 }
        return 2 * depth + 4
    }

    /// Plays to the end. Calls of the plugin `bad` are refused, and no read reports a bad host. Returns the calls in
    /// order.
    static func play(_ bench: inout PipelineHarness, _ limit: Int) -> [StartCall] {
        var calls: [StartCall] = []
        bench.play(limit) { bench, call in
            calls.append(call)
            bench.answer(call.pluginCode == "bad" ? 400 : 200, code: "HSS.0001")
        } read: {
            $0.tell { _ in ("stopped", "online") }
        }
        return calls
    }

    @Test(arguments: [false, true]) func `a request that is refused as a whole leaves others their turns and ends soon`(
        _ isCritical: Bool
    ) {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        let priority = isCritical ? #","priority":"critical""# : ""
        bench.receive(key: "wrong", hosts: (0..<100).map { "h\($0)" }, project: "w", plugin: "bad", more: priority)
        for n in 0..<3 { bench.receive(key: "k\(n)", project: "p\(n)", more: priority) }
        let order = Self.play(&bench, 1_000).map(\.projectID)
        #expect(order.prefix(6).filter { $0 != "w" }.count == 3, "\(order)")
        #expect(order.filter { $0 == "w" }.count <= 9, "\(order.count)")
        #expect(bench.statuses == [.succeeded, .succeeded, .succeeded, .failed])
        #expect(bench.results.last?.failure?.code == "HSS.0001")
    }

    @Test func `a limit of hosts that HSS does not name is learned, and forgotten after an hour`() {
        var bench = PipelineHarness { $0.hostsPerCall = 1000 }
        var sizes: [Int] = []
        func play() {
            sizes = []
            bench.play(1_000) { bench, call in
                sizes.append(call.hostIDs.count)
                bench.answer(call.hostIDs.count > 60 ? 400 : 200, code: "HSS.0001")
            } read: {
                $0.tell { _ in ("stopped", "online") }
            }
        }
        func storm(_ name: String) {
            for number in 0..<20 {
                let hosts = (0..<10).map { "\(name)-\(number)-\($0)" }
                bench.receive(key: "\(name)-\(number)", hosts: hosts, isLast: number == 19)
            }
            play()
        }
        storm("first")
        #expect(sizes.first == 200 && sizes.filter { $0 > 60 }.count == 3, "\(sizes)")
        #expect(bench.notes.contains(.ceilingLowered(project: "p", plugin: "ndr", hosts: 50)))
        storm("second")
        #expect(sizes == [50, 50, 50, 50])
        bench.pass(.seconds(3601))
        storm("third")
        #expect(sizes.first == 200)
        #expect(bench.statuses == Array(repeating: .succeeded, count: 60))
    }

    @Test(arguments: [1, 2, 3, 7, 20, 64, 100, 200]) func `the calls for one request are bounded`(_ hosts: Int) {
        for seed in 0..<40 {
            var generator = SplitMix64(seed: UInt64(seed))
            let share = Int.random(in: 1...6, using: &generator)
            let bad = Set(
                (0..<hosts).filter { _ in Int.random(in: 0..<share, using: &generator) == 0 }.map { "h\($0)" })
            var bench = PipelineHarness { $0.hostsPerCall = 200 }
            bench.receive(key: "k", hosts: (0..<hosts).map { "h\($0)" })
            var calls = 0
            bench.play(1_000) { bench, call in
                calls += 1
                bench.answer(call.hostIDs.contains(where: bad.contains) ? 400 : 200, code: "HSS.0001")
            } read: {
                $0.tell { _ in ("stopped", "online") }
            }
            #expect(bench.pipeline.openCount == 0)
            #expect(calls <= Self.cap(200), "\(calls) calls for \(hosts) hosts")
            if bad.isEmpty { #expect(bench.statuses == [.succeeded]) }
        }
    }

    @Test func `many requests of a refused scope do not delay other calls of their project`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1000, window: .seconds(60)) }
        for n in 0..<64 { bench.receive(key: "w\(n)", hosts: ["h\(n)"], plugin: "bad") }
        for n in 0..<60 { bench.receive(key: "g\(n)", project: n % 2 == 0 ? "p" : "q", plugin: "good\(n)") }
        let order = Self.play(&bench, 5_000).map(\.pluginCode)
        #expect(bench.pipeline.openCount == 0)
        #expect(bench.statuses.filter { $0 == .failed }.count == 64, "each is told what HSS says of it")
        #expect(order.prefix(60).filter { $0 == "bad" }.count <= 12, "\(order.prefix(60))")
    }

    @Test func `a read that fails temporarily is retried before a call is halved`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", hosts: ["good", "bad", "fine"])
        bench.answer(400, code: "HSS.1001")
        bench.refuseRead(503)
        #expect(bench.calls.isEmpty)
        for _ in 0..<20 where bench.queries.isEmpty { bench.pass(.seconds(1)) }
        bench.tell { $0 == "bad" ? ("not_installed", "not_installed") : ("stopped", "online") }
        #expect(bench.calls.map(\.hostIDs) == [["good", "fine"]])
        bench.answer(200)
        #expect(bench.statuses == [.partiallySucceeded])
    }

    @Test func `a read alone does not fail a host that no call named`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "first", hosts: ["x"], plugin: "other")
        bench.receive(key: "a", hosts: ["good1", "bad1"])
        bench.answer(200)
        bench.pass(.seconds(60))
        bench.receive(key: "new", hosts: ["new"])
        bench.answer(400, code: "HSS.1001")
        // The host was just enrolled, so the list does not contain it yet.
        for _ in 0..<50 where bench.pipeline.openCount > 0 {
            if let call = bench.calls.first {
                bench.answer(call.hostIDs.contains("bad1") ? 400 : 200, code: "HSS.1001")
            } else if !bench.queries.isEmpty {
                bench.tell {
                    $0 == "new" ? nil : $0 == "bad1" ? ("not_installed", "not_installed") : ("stopped", "online")
                }
            } else {
                bench.pass(.seconds(10))
            }
        }
        #expect(bench.results.first { $0.fields.idempotencyKey == "new" }?.status == .succeeded)
    }
}
