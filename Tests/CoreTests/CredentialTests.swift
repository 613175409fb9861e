import Testing

@testable import Core

@Suite struct CredentialTests {
    @Test func `a refused credential stops calls and fails no request`() {
        var bench = PipelineHarness { $0.hostsPerCall = 1 }
        for n in 0..<5 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        var refusals = 0
        for _ in 0..<200 {
            if bench.calls.isEmpty {
                bench.pass(.seconds(5))
            } else {
                refusals += 1
                bench.answer(401, code: "APIGW.0301")
            }
        }
        #expect(bench.results.isEmpty)
        #expect(refusals <= 12, "1000 s hold at most three refusals in any 300")
        bench.hand(.credentialChanged)
        for _ in 0..<100 where bench.results.count < 5 {
            if bench.calls.isEmpty { bench.pass(.seconds(10)) } else { bench.answer(200) }
        }
        #expect(bench.statuses == Array(repeating: .succeeded, count: 5))
    }

    @Test func `a key that turns bad under load is refused three times at most`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 10, window: .seconds(60))
            $0.hostsPerCall = 1
        }
        for n in 0..<30 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        var refused: [Uptime] = []
        let until = bench.now.uptime + .seconds(2000)
        while bench.now.uptime < until {
            if bench.calls.isEmpty {
                bench.pass(.seconds(1))
            } else {
                refused.append(bench.now.uptime)
                bench.answer(401, code: "APIGW.0301")
            }
        }
        #expect(refused.count >= 3)
        #expect(QuotaTests.most(refused, in: .seconds(300)) <= 3)
        #expect(bench.results.isEmpty)
    }

    @Test(arguments: [500, 429, nil]) func `a failure of IAM costs no attempt and fails no request`(_ status: Int?) {
        var bench = PipelineHarness { $0.retryFor = .seconds(10) }
        bench.receive(key: "k")
        for _ in 0..<20 {
            if let call = bench.calls.popLast() {
                var reply = Reply()
                reply.source = .iam
                reply.httpStatus = status
                if status == nil { reply.transport = .lost("timeout") }
                bench.hand(.answered(call.id, reply))
            }
            bench.pass(.seconds(30))
        }
        #expect(bench.results.isEmpty && bench.queries.isEmpty)
        for _ in 0..<20 { if bench.calls.isEmpty { bench.pass(.seconds(30)) } else { bench.answer(200) } }
        #expect(bench.results.map(\.attempts) == [1])
    }
}
