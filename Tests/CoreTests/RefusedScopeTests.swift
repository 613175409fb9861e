import Testing

@testable import Core

/// Whether a refusal of the credential concerns the credential, one project or one API.
@Suite struct RefusedScopeTests {
    /// Plays for a time. Calls of projects that `isRefused` names get a 401, and others succeed. The same holds for
    /// reads.
    static func play(
        _ bench: inout PipelineHarness, for time: Duration, refused: inout [Uptime],
        isRefused: (_ project: String) -> Bool,
        isReadRefused: Bool = false
    ) {
        let end = bench.now.uptime + time
        while bench.now.uptime < end {
            if let call = bench.calls.first {
                if isRefused(call.projectID) {
                    refused.append(bench.now.uptime)
                    bench.answer(401, code: "APIGW.0301")
                } else {
                    bench.answer(200)
                }
            } else if !bench.queries.isEmpty {
                if isReadRefused {
                    refused.append(bench.now.uptime)
                    bench.refuseRead(401)
                } else {
                    bench.tell { _ in ("stopped", "online") }
                }
            } else {
                let next = bench.pipeline.deadline(bench.now) ?? end
                bench.pass(max(.milliseconds(1), min(next, end) - bench.now.uptime))
            }
        }
    }

    @Test func `a project refused alone delays no other project and fails no request`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 10, window: .seconds(60)) }
        bench.receive(key: "x", project: "x", more: #","priority":"critical""#)
        for n in 0..<3 { bench.receive(key: "k\(n)", project: "p\(n)") }
        var refused: [Uptime] = []
        let began = bench.now.uptime
        Self.play(&bench, for: .seconds(1), refused: &refused) { $0 == "x" }
        #expect(bench.statuses == Array(repeating: .succeeded, count: 3))
        // For 20 minutes, a good request each minute is called as soon as it arrives.
        for minute in 0..<20 {
            bench.receive(key: "m\(minute)", project: "p\(minute % 3)")
            Self.play(&bench, for: .seconds(1), refused: &refused) { $0 == "x" }
            #expect(bench.results.count == 4 + minute)
            Self.play(&bench, for: .seconds(59), refused: &refused) { $0 == "x" }
        }
        #expect(bench.statuses.allSatisfy { $0 == .succeeded })
        #expect(refused.count <= 20, "its own probes pause longer and longer")
        #expect(refused.filter { $0 < began + .seconds(30) }.count == 2)
        Self.play(&bench, for: .seconds(301), refused: &refused) { _ in false }
        #expect(bench.results.count == 24 && bench.pipeline.openCount == 0)
    }

    @Test func `after a refusal the next probe is of another project, whatever the priorities`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        for n in 0..<3 { bench.receive(key: "x\(n)", project: "x", plugin: "g\(n)", more: #","priority":"critical""#) }
        while let call = bench.calls.first, call.projectID == "x" { bench.answer(401, code: "APIGW.0301") }
        bench.receive(key: "k", project: "p", more: #","priority":"bulk""#)
        #expect(bench.calls.map(\.projectID) == ["p"])
    }

    @Test func `after a refusal a read of another project is a probe, as its calls are`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 10, window: .seconds(60)) }
        bench.receive(key: "bad", hosts: ["h1", "bad"], project: "p")
        bench.receive(key: "x", project: "x")
        #expect(bench.calls.map(\.projectID) == ["p", "x"])
        bench.calls.swapAt(0, 1)
        bench.answer(401, code: "APIGW.0301")
        bench.answer(400, code: "HSS.1001")
        #expect(bench.queries.map(\.projectID) == ["p"])
    }

    @Test func `a refused read is no evidence against the credential`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 10, window: .seconds(60)) }
        bench.receive(key: "bad", hosts: ["h1", "bad"], project: "q")
        bench.answer(400, code: "HSS.1001")
        #expect(bench.queries.count == 1)
        bench.refuseRead(401)
        for n in 0..<3 { bench.receive(key: "k\(n)", project: "p\(n)", more: #","priority":"critical""#) }
        for _ in 0..<10 where !bench.calls.isEmpty {
            bench.answer(bench.calls[0].hostIDs.contains("bad") ? 400 : 200, code: "HSS.1001")
        }
        #expect(bench.statuses.filter { $0 == .succeeded }.count == 3)
        #expect(bench.pipeline.openCount == 0)
        #expect(bench.statuses.contains(.partiallySucceeded), "halves need no read")
    }

    @Test func `after a lost answer a refused read delays the call of its hosts only for a while`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 10, window: .seconds(60)) }
        bench.receive(key: "k")
        bench.lose()
        var refused: [Uptime] = []
        Self.play(&bench, for: .seconds(60), refused: &refused, isRefused: { _ in false }, isReadRefused: true)
        #expect(refused.count == 2)
        #expect(bench.statuses == [.succeeded])
    }

    @Test(arguments: 0..<20) func `a bad credential is refused three times in five minutes at most`(_ seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1000, window: .seconds(60))
            $0.hostsPerCall = 3
        }
        let projects = 1 + pick(5)
        let aloneRefused = Set((0..<projects).filter { _ in pick(3) == 0 }.map { "p\($0)" })
        var isBad = false
        // Answers arrive later than they are made. The server counts the refusals in a row.
        var inARow: [Uptime] = []
        var worst = 0
        var replies: [(isRead: Bool, id: CallID, reply: Reply)] = []
        for turn in 0..<2000 {
            if pick(400) == 0 {
                isBad.toggle()
                if pick(2) == 0 { bench.hand(.credentialChanged) }
            }
            if pick(6) == 0 {
                bench.receive(
                    key: "k\(turn)", hosts: ["h\(turn)", pick(9) == 0 ? "bad\(turn)" : "g\(turn)"],
                    project: "p\(pick(projects))", more: pick(3) == 0 ? #","priority":"critical""# : "")
            }
            if !bench.calls.isEmpty || !bench.queries.isEmpty {
                let isRead = bench.calls.isEmpty
                let project = isRead ? bench.queries[0].projectID : bench.calls[0].projectID
                var reply = Reply()
                if isBad || aloneRefused.contains(project) {
                    (reply.httpStatus, reply.errorCode) = (401, "APIGW.0301")
                    inARow.append(bench.now.uptime)
                    if isBad { worst = max(worst, inARow.filter { $0 > bench.now.uptime - .seconds(300) }.count) }
                } else {
                    inARow = []
                    reply.httpStatus = 200
                    if !isRead, bench.calls[0].hostIDs.contains(where: { $0.hasPrefix("bad") }) {
                        (reply.httpStatus, reply.errorCode) = (400, "HSS.1001")
                    }
                }
                let id = isRead ? bench.queries.removeFirst().id : bench.calls.removeFirst().id
                replies.append((isRead, id, reply))
            }
            if !replies.isEmpty, pick(2) == 0 {
                let answer = replies.remove(at: pick(replies.count))
                bench.hand(.answered(answer.id, answer.reply))
            } else {
                bench.pass(.seconds(pick(3)))
            }
        }
        #expect(worst <= 3)
        #expect(bench.statuses.allSatisfy { [.succeeded, .failed, .partiallySucceeded].contains($0) })
    }

    @Test func `a credential that changes while calls go is tried alone before others follow`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 10, window: .seconds(60)) }
        bench.receive(key: "k")
        bench.answer(200)
        bench.hand(.credentialChanged)
        for n in 0..<5 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        #expect(bench.calls.count == 1)
        bench.answer(200)
        #expect(bench.calls.count == 2)
    }

    @Test func `an answer to a call on the old credential proves nothing about the new one`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 10, window: .seconds(60)) }
        bench.receive(key: "old")
        bench.pass(.seconds(1))
        bench.hand(.credentialChanged)
        for n in 0..<5 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        bench.answer(200)
        #expect(bench.calls.count == 1)
        bench.answer(200)
        #expect(bench.calls.count == 2)
    }
}
