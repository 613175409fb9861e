import Testing

@testable import Core

/// What a failed call costs, and what its log line reports about the next call.
@Suite struct NextCallTests {
    static func failed(_ status: Int?, _ transport: Reply.Transport? = nil, retryAfter: Duration? = nil) -> Reply {
        var reply = Reply()
        reply.httpStatus = status
        reply.transport = transport
        reply.retryAfter = retryAfter
        return reply
    }

    /// The log events that result from an answer to the oldest call.
    static func notes(_ bench: inout PipelineHarness, _ reply: Reply) -> [LogEvent] {
        bench.pipeline.handle(.answered(bench.calls.removeFirst().id, reply), now: bench.now).compactMap {
            if case .log(let note) = $0 { note } else { nil }
        }
    }

    static let quota = RateLimit(calls: 1, window: .seconds(60))

    @Test func `a call that was never made takes no slot of the quota`() {
        var bench = PipelineHarness { $0.quota = Self.quota }
        bench.receive(key: "k")
        for _ in 0..<5 {
            _ = Self.notes(&bench, Self.failed(nil, .notSent("refused")))
            #expect(bench.pipeline.permits.calls.isFree(bench.now))
            bench.pass((bench.pipeline.deadline(bench.now) ?? .zero) - bench.now.uptime)
            #expect(bench.calls.count == 1, "tried again after the back-off")
        }
        _ = Self.notes(&bench, Self.failed(nil, .lost("reset")))
        #expect(!bench.pipeline.permits.calls.isFree(bench.now), "one that may have arrived takes it")
    }

    @Test func `a void token takes a slot of the quota, but does not close the gate`() {
        var bench = PipelineHarness { $0.quota = Self.quota }
        bench.receive(key: "k")
        _ = Self.notes(&bench, Self.failed(nil, .tokenVoid("expired")))
        #expect(!bench.pipeline.permits.calls.isFree(bench.now))
        #expect(bench.pipeline.permits.gate.allows(AuthGate.Subject(project: ExactText("p")), now: bench.now.uptime))
        #expect(bench.queries.isEmpty, "it had no effect, so there is nothing to look up")
    }

    @Test func `a call that never got a token takes no slot of the quota`() {
        var bench = PipelineHarness { $0.quota = Self.quota }
        bench.receive(key: "k")
        var reply = Self.failed(401)
        reply.source = .iam
        _ = Self.notes(&bench, reply)
        #expect(bench.pipeline.permits.calls.isFree(bench.now))
    }

    @Test(arguments: [
        (failed(503), quota), (failed(nil, .notSent("refused")), quota), (failed(nil, .notSent("refused")), nil),
        (failed(429, retryAfter: .seconds(30)), quota), (failed(503), nil), (failed(401), quota),
    ]) func `the log of a failed call shows when the next call goes`(_ reply: Reply, _ quota: RateLimit?) throws {
        var bench = PipelineHarness { $0.quota = quota }
        bench.receive(key: "k")
        let told = Self.notes(&bench, reply).compactMap { note -> Duration? in
            if case .callFailed(_, _, let nextIn, _) = note { nextIn } else { nil }
        }
        let nextIn = try #require(told.first)
        bench.pass(nextIn - .milliseconds(1))
        #expect(bench.calls.isEmpty)
        bench.pass(.milliseconds(1))
        #expect(bench.calls.count == 1)
    }

    @Test func `the log of a throttled call shows when calls resume`() {
        var bench = PipelineHarness { $0.quota = Self.quota }
        bench.receive(key: "k")
        let notes = Self.notes(&bench, Self.failed(429, retryAfter: .seconds(200)))
        #expect(notes.contains(.throttled(nil, until: bench.now.uptime + .seconds(200))))
    }
}
