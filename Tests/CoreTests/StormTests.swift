import Testing

@testable import Core

/// What faults of other requests cost good requests that wait with them, at 5 calls a minute and 10 hosts a call.
@Suite struct StormTests {
    struct Request {
        var key: String
        var hosts: [String]
        var project = "p"
        var plugin = "ndr"
        var more = ""
    }

    struct Outcome {
        var calls = 0
        var seconds = 0.0
    }

    /// Plays until all requests are done. Reports what it took until the last good request was done.
    static func play(_ requests: [Request], isRefused: (StartCall) -> String?) -> Outcome {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 5, window: .seconds(60))
            $0.hostsPerCall = 10
        }
        let began = bench.now.uptime
        for (index, request) in requests.enumerated() {
            bench.receive(
                key: request.key, hosts: request.hosts, project: request.project, plugin: request.plugin,
                more: request.more, isLast: index == requests.count - 1)
        }
        var outcome = Outcome()
        var open = requests.filter { $0.key.hasPrefix("good") }.count
        bench.play(10_000) { bench, call in
            let before = bench.results.count
            let code = isRefused(call)
            if open > 0 { outcome.calls += 1 }
            bench.answer(code == nil ? 200 : 400, code: code)
            for result in bench.results.dropFirst(before)
            where result.fields.idempotencyKey?.hasPrefix("good") ?? false {
                open -= 1
                outcome.seconds = (bench.now.uptime - began).seconds
            }
        } read: { bench in
            bench.tell { $0.hasPrefix("unknown") ? nil : ("stopped", "online") }
        }
        #expect(bench.pipeline.openCount == 0 && open == 0)
        #expect(
            bench.results.allSatisfy {
                $0.status == .succeeded || !($0.fields.idempotencyKey?.hasPrefix("good") ?? false)
            })
        return outcome
    }

    /// Orders the requests as if they came from several partitions. Requests of one partition keep their order.
    static func mixed(_ requests: [Request], _ seed: Int) -> [Request] {
        guard seed > 0 else { return requests }
        var generator = SplitMix64(seed: UInt64(seed))
        return requests.map { ($0, Int.random(in: 0..<6, using: &generator)) }.enumerated()
            .sorted { ($0.element.1, $0.offset) < ($1.element.1, $1.offset) }.map(\.element.0)
    }

    @Test(arguments: 0..<6, [false, true]) func `a poisoned producer slows the others by a half at most`(
        _ seed: Int, _ isSame: Bool
    ) {
        let good = (0..<200).map { Request(key: "good\($0)", hosts: ["g\($0)"]) }
        let all = (0..<250).map {
            $0 % 5 > 0
                ? Request(key: "good\($0)", hosts: ["h\($0)"])
                : Request(key: "bad\($0)", hosts: ["h\($0)", isSame ? "unknown" : "unknown\($0)"])
        }
        let alone = Self.play(good) { _ in nil }
        #expect(alone.calls == 20 && alone.seconds == 180)
        let beside = Self.play(Self.mixed(all, seed)) {
            $0.hostIDs.contains { $0.hasPrefix("unknown") } ? "HSS.0011" : nil
        }
        #expect(beside.seconds <= 1.5 * alone.seconds, "\(beside.calls) calls")
    }

    @Test(arguments: 0..<3) func `a plugin refused alone slows other projects by a fifth at most`(
        _ seed: Int
    ) {
        let good = (0..<600).map { Request(key: "good\($0)", hosts: ["g\($0)"], project: "p\($0 % 3)") }
        let bad = Request(
            key: "bad", hosts: (0..<100).map { "h\($0)" }, project: "p0", plugin: "bad",
            more: #","priority":"critical""#)
        let alone = Self.play(good) { _ in nil }
        #expect(alone.calls == 60 && alone.seconds == 660)
        let beside = Self.play(Self.mixed([bad] + good, seed)) { $0.pluginCode == "bad" ? "HSS.0001" : nil }
        #expect(beside.seconds <= 1.2 * alone.seconds, "\(beside.calls) calls")
    }
}
