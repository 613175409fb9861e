import Foundation
import Testing

@testable import Core

private let python = ProcessInfo.processInfo.environment["VENDOR_PYTHON"]

extension OnABroker {
    /// The consumer in docs/contract.md, as it stands there.
    @Suite(.enabled(if: python != nil, "VENDOR_PYTHON is not set")) struct Consumers {
        static func program() throws -> String {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let text = try String(contentsOf: root.appendingPathComponent("docs/contract.md"), encoding: .utf8)
            let section = try #require(text.range(of: "\n### A consumer\n"))
            let start = try #require(text[section.upperBound...].range(of: "```python\n"))
            let end = try #require(text[start.upperBound...].range(of: "```\n"))
            return String(text[start.upperBound..<end.lowerBound])
        }

        @Test func `the consumer in the contract prints each result once`() throws {
            let program = try Self.program()
            #expect(program.split(separator: "\n").count <= 20 && !program.contains("cloudevents"))
            let folder = try Executable.scratch("consumer")
            defer { try? FileManager.default.removeItem(at: folder) }
            let file = folder.appendingPathComponent("consumer.py")
            try Data(program.utf8).write(to: file)
            let bench = try WorkerHarness("consumer", partitions: 1)
            let worker = try bench.worker()
            try bench.publish([.plain("good"), .plain("good"), .plain("refused", host: "unknown-1")])
            try bench.waitForResults(3, worker)
            // The same result once more, as an owner that was cut off would publish it.
            let value = folder.appendingPathComponent("value")
            try Data(#"{"status":"succeeded","idempotency_key":"good"}"#.utf8).write(to: value)
            try run(
                "kcat",
                [
                    "-P", "-b", bench.broker.bootstrap, "-t", bench.topics.results, "-p", "0", "-k", "good", "-H",
                    "ce_id=\(bench.topics.requests)/0/0/succeeded", value.path,
                ])
            try bench.publish([.plain("last")])
            let consumer = try Executable(
                try #require(python), [file.path, bench.broker.bootstrap, bench.topics.results])
            try eventually("the last result is printed", seconds: 60, otherwise: { consumer.errors }) {
                consumer.output.contains("succeeded last")
            }
            // Results of different keys have no order.
            #expect(
                consumer.output.split(separator: "\n").sorted() == [
                    "duplicate good None None", "failed refused HSS.0011 Resource not found.",
                    "succeeded good None None", "succeeded last None None",
                ])
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }
    }
}
