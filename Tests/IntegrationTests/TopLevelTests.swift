import Foundation
import Testing

@testable import Core

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

extension OnABroker {
    /// The files beside the code do what they promise.
    @Suite struct TopLevel {
        private static let examples = root.appendingPathComponent("schemas/examples")

        private static func publish(_ file: String, key: String? = nil, to bench: WorkerHarness) throws {
            let name = file.prefix { $0 != "." }
            let headers = try? String(
                contentsOf: examples.appendingPathComponent("\(name).headers"), encoding: .utf8)
            try bench.publish(
                bytes: Data(contentsOf: examples.appendingPathComponent(file)),
                headers: headers?.split(separator: "\n").map(String.init) ?? [], key: key)
        }

        @Test func `each envelope of an example is opened by the worker`() throws {
            let bench = try WorkerHarness("envelopes")
            let worker = try bench.worker()
            let files = [
                "request-plain.data.json", "request-cloudevent-binary.data.json", "request-cloudevent-structured.json",
                "request-schema-registry.bin",
            ]
            for file in files { try Self.publish(file, to: bench) }
            try bench.waitForResults(files.count, worker)
            let results = try bench.results()
            #expect(results.map(\.status) == files.map { _ in "succeeded" })
            #expect(
                Set(results.map(\.key)) == [
                    "alert-7f3a/ndr", "/siem/rules/12 e-1002", "/siem/rules/12 e-1001", "alert-6/ndr",
                ])
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `each example request has the outcome that its name says`() throws {
            let bench = try WorkerHarness("examples", partitions: 1)
            let worker = try bench.worker()
            let statuses = [
                "succeeded", "duplicate", "conflict", "failed", "partially_succeeded", "rejected", "expired",
            ]
            for status in statuses { try Self.publish("request-for-\(status).json", key: "k", to: bench) }
            try bench.waitForResults(statuses.count, worker)
            let results = try bench.results()
            for (offset, status) in statuses.enumerated() {
                let result = try #require(results.first { $0.position == "0/\(offset)" })
                let example = try JSON(
                    parsing: Array(Data(contentsOf: Self.examples.appendingPathComponent("result-\(status).json"))))
                #expect(result.status == status)
                for name in ["idempotency_key", "host_id_list", "failed_hosts", "error", "correlation_id", "reason"] {
                    #expect(result.json[name] == example[name], "\(status): \(name)")
                }
                #expect(result.json["original"]?["status"] == example["original"]?["status"], "\(status)")
            }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `the program prints the schemas as the files have them`() throws {
            let files = [
                "request": "start-request.schema.json", "result": "start-result.schema.json",
                "asyncapi": "asyncapi.json", "policy": "policy.schema.json",
            ]
            var all: [String: JSON] = [:]
            for (name, file) in files {
                let text = try String(contentsOf: root.appendingPathComponent("schemas/\(file)"), encoding: .utf8)
                #expect(try run(Executable.binary.path, ["schema", name]) == text)
                all[name] = try JSON(parsing: Array(text.utf8))
            }
            let printed = try JSON(parsing: Array(try run(Executable.binary.path, ["schema"]).utf8))
            for name in files.keys { #expect(printed[name] == all[name]) }
            let wrong = try Executable.starter(["schema", "results"])
            #expect(try wrong.wait() == 64)
            #expect(wrong.errors.contains("schema results: must be one of: request, result, asyncapi, policy"))
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
