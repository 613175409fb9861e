import Foundation
import Testing

@testable import Core

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

extension OnABroker {
    /// The files beside the code do what they promise.
    @Suite struct TopLevel {
        @Test func `each example request goes through the worker`() throws {
            let bench = try WorkerHarness("examples")
            let worker = try bench.worker()
            let directory = root.appendingPathComponent("schemas/examples")
            let examples = [
                ("request-plain", "request-plain.data.json"),
                ("request-cloudevent-binary", "request-cloudevent-binary.data.json"),
                ("request-cloudevent-structured", "request-cloudevent-structured.json"),
            ]
            for (name, file) in examples {
                let headers = try String(
                    contentsOf: directory.appendingPathComponent("\(name).headers"), encoding: .utf8)
                try bench.publish(
                    bytes: Data(contentsOf: directory.appendingPathComponent(file)),
                    headers: headers.split(separator: "\n").map(String.init))
            }
            try bench.waitForResults(examples.count, worker)
            let results = try bench.results()
            #expect(results.map(\.status) == ["succeeded", "succeeded", "succeeded"])
            #expect(
                Set(results.map(\.key)) == ["alert-7f3a/ndr", "/siem/rules/12 e-1002", "/siem/rules/12 e-1001"])
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        /// The command of a service in docker-compose.yml, from its list.
        static func command(of service: String) throws -> [String] {
            let text = try String(contentsOf: root.appendingPathComponent("docker-compose.yml"), encoding: .utf8)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let start = try #require(lines.firstIndex { $0 == "  \(service):" })
            let line = try #require(lines[start...].first { $0.hasPrefix("    command: [") })
            return try #require(try JSON(parsing: Array(line.dropFirst("    command: ".count).utf8)).array).compactMap(
                \.string)
        }

        @Test func `the commands of docker-compose work here too`() throws {
            let bench = try WorkerHarness("compose")
            let sandbox = try Executable.starter(
                Self.command(of: "hss").map { $0 == "0.0.0.0:8081" ? "127.0.0.1:0" : $0 })
            let url = try sandbox.firstLine()
            let places = [
                "kafka:9092": bench.broker.bootstrap, "http://hss:8081": url, "0.0.0.0:8080": "127.0.0.1:0",
            ]
            let worker = try Executable.starter(
                Self.command(of: "worker").map { places[$0] ?? $0 } + [
                    "--requests-topic", bench.topics.requests, "--results-topic", bench.topics.results, "--group",
                    bench.topics.group,
                ], environment: WorkerHarness.credentials)
            try worker.says(" ready")
            try bench.publish([.plain("a")])
            try bench.waitForResults(1, worker)
            #expect(try bench.results().map(\.status) == ["succeeded"])
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }
    }
}
