import Testing

@testable import Core

@Suite struct DedupeTests {
    struct Repeat: Sendable, CustomTestStringConvertible {
        var name: String
        var firstAnswer: (Int, String?)
        var second: [String]
        var expected: [Status]
        var calls: Int
        var testDescription: String { name }
    }

    @Test(arguments: [
        Repeat(
            name: "after success", firstAnswer: (200, nil), second: ["h1"], expected: [.succeeded, .duplicate], calls: 0
        ),
        Repeat(name: "conflict", firstAnswer: (200, nil), second: ["h2"], expected: [.succeeded, .conflict], calls: 0),
        Repeat(
            name: "after terminal failure", firstAnswer: (403, nil), second: ["h1"], expected: [.failed, .duplicate],
            calls: 0),
    ]) func `a key that came before is answered without a call`(_ example: Repeat) {
        var bench = PipelineHarness()
        bench.receive(key: "k")
        bench.answer(example.firstAnswer.0, code: example.firstAnswer.1)
        bench.receive(key: "k", hosts: example.second)
        #expect(bench.statuses == example.expected)
        #expect(bench.calls.count == example.calls)
        #expect(bench.results[1].original?.offset == 0)
        #expect(bench.results[1].original?.status == example.expected[0])
        #expect(bench.stored == [0: 2])
    }

    @Test func `a repeat waits while the first is open and gets its outcome`() {
        var bench = PipelineHarness()
        bench.receive(key: "k")
        bench.receive(key: "k")
        bench.receive(key: "k", hosts: ["other"])
        #expect(bench.calls.count == 1)
        #expect(bench.results.isEmpty)
        bench.answer(200)
        #expect(bench.statuses == [.succeeded, .duplicate, .conflict])
        #expect(bench.stored == [0: 3])
    }

    @Test func `a key is free again after a retryable failure`() {
        var bench = PipelineHarness { $0.retryFor = .zero }
        bench.receive(key: "k")
        bench.answer(503)
        #expect(bench.statuses == [.failed])
        #expect(bench.results[0].failure?.isRetryable == true)
        bench.receive(key: "k")
        bench.settle()
        #expect(bench.statuses == [.failed, .succeeded])
    }

    @Test func `rejected and expired do not claim the key`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", more: #","expires_at":"2020-01-01T00:00:00Z""#)
        bench.receive(#"{"idempotency_key":"k","project_id":"p"}"#)
        bench.receive(key: "k")
        bench.answer(200)
        #expect(bench.statuses == [.expired, .rejected, .succeeded])
    }

    @Test func `equal keys of different projects are different keys`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", project: "p")
        bench.receive(key: "k", project: "q")
        bench.settle()
        #expect(bench.statuses == [.succeeded, .succeeded])
    }

    @Test func `a key older than the window counts as new`() {
        var bench = PipelineHarness { $0.dedupeWindow = .seconds(60) }
        bench.receive(key: "k")
        bench.answer(200)
        bench.pass(.seconds(61))
        bench.receive(key: "k")
        bench.settle()
        #expect(bench.statuses == [.succeeded, .succeeded])
    }
}
