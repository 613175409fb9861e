import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Results {
        static func arguments(_ bench: WorkerHarness, _ more: [String]) -> [String] {
            [
                "results", "--bootstrap-servers", bench.broker.bootstrap, "--results-topic", bench.topics.results,
            ] + more
        }

        /// The keys of the results that the filters let through.
        static func keys(_ bench: WorkerHarness, _ more: [String]) throws -> [String] {
            let text = try run(Executable.binary.path, arguments(bench, ["--json"] + more))
            return try text.split(separator: "\n").map {
                try JSON(parsing: Array($0.utf8))["idempotency_key"]?.string ?? ""
            }.sorted()
        }

        /// Four results: two that succeeded, one that failed and one that was rejected.
        static func four(_ name: String) throws -> WorkerHarness {
            let bench = try WorkerHarness(name)
            let worker = try bench.worker()
            try bench.publish([
                .plain("good", host: "h1"), .plain("bad", host: "unknown-1"),
                .init(
                    key: "other",
                    value:
                        #"{"idempotency_key":"other","project_id":"q","plugin_code":"hss","host_id_list":["h1","h2"]}"#),
                .init(key: "wrong", value: #"{"idempotency_key":"wrong","project_id":"p","plugin_code":"ndr"}"#),
            ])
            try bench.waitForResults(4, worker)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            return bench
        }

        @Test func `each filter lets its results through`() throws {
            let bench = try Self.four("filters")
            for (filter, keys) in [
                (["--status", "failed", "--status", "rejected"], ["bad", "wrong"]), (["--code", "HSS.0011"], ["bad"]),
                (["--category", "invalid"], ["wrong"]), (["--category", "host"], ["bad"]),
                (["--project-id", "q"], ["other"]), (["--plugin-code", "ndr"], ["bad", "good", "wrong"]),
                (["--host", "h1"], ["good", "other"]), (["--host", "h2", "--host", "unknown-1"], ["bad", "other"]),
                (["--key", "good"], ["good"]), (["--host", "h1", "--project-id", "p"], ["good"]),
                (["--since", "1h"], ["bad", "good", "other", "wrong"]), (["--until", "1h"], []),
                (["--until", "1ms"], ["bad", "good", "other", "wrong"]), (["--since", "2h", "--until", "1h"], []),
            ] { #expect(try Self.keys(bench, filter) == keys, "\(filter)") }
        }

        @Test func `where nothing matches a line on standard error says so, and the exit code is 0`() throws {
            let bench = try WorkerHarness("nothing")
            let empty = try Executable.starter(Self.arguments(bench, []))
            #expect(try empty.wait() == 0)
            #expect(empty.output.isEmpty && empty.errors.contains("\(bench.topics.results) has no results"))
            let worker = try bench.worker()
            try bench.publish([.plain("a")])
            try bench.waitForResults(1, worker)
            let none = try Executable.starter(Self.arguments(bench, ["--key", "b"]))
            #expect(try none.wait() == 0)
            #expect(none.output.isEmpty && none.errors.contains("none of 1 results matches"), "\(none.errors)")
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `ocsf, summary and table show the same results`() throws {
            let bench = try Self.four("formats")
            let events = try run(Executable.binary.path, Self.arguments(bench, ["--format", "ocsf"]))
                .split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
            #expect(events.count == 4)
            #expect(events.allSatisfy { $0["class_uid"]?.integer == 7001 })
            #expect(events.compactMap { $0["status_id"]?.integer }.sorted() == [1, 1, 2, 2])
            #expect(events.allSatisfy { $0["metadata"]?["log_name"]?.string == bench.topics.results })
            let text = try run(Executable.binary.path, Self.arguments(bench, ["--summary"]))
            let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            for line in [["4", "results"], ["succeeded", "2"], ["HSS.0011", "1"], ["invalid", "1"], ["hss", "1"]] {
                #expect(lines.contains(line), "\(line): \(text)")
            }
            let json = try run(
                Executable.binary.path, Self.arguments(bench, ["--summary", "--json", "--status", "failed"]))
            #expect(try JSON(parsing: Array(json.utf8.dropLast()))["results"]?.integer == 1)
        }

        @Test(arguments: [60, 80, 140]) func `a terminal has colours and short lines, and NO_COLOR keeps colours off`(
            _ width: Int
        ) throws {
            let bench = try Self.four("terminal")
            let command = ([Executable.binary.path] + Self.arguments(bench, [])).joined(separator: " ")
            for (variable, isColoured) in [("", true), ("NO_COLOR=1", false), ("TERM=dumb", false)] {
                let script = "stty cols \(width); env -u NO_COLOR TERM=xterm \(variable) \(command)"
                let text = try run("script", ["-qec", script, "/dev/null"])
                #expect(text.contains("\u{1B}[31mfailed") == isColoured, "\(text)")
                #expect(text.contains("\u{1B}[") == isColoured)
                let lines = text.split(whereSeparator: \.isNewline).map {
                    $0.replacing(#/\u{1B}\[[0-9]+m/#, with: "")
                }
                #expect(lines.count == 5 && lines.allSatisfy { $0.count <= width }, "\(text)")
            }
            #expect(try !run(Executable.binary.path, Self.arguments(bench, [])).contains("\u{1B}"))
        }

        @Test func `follow prints results as they arrive, until SIGINT`() throws {
            let bench = try WorkerHarness("follow")
            let worker = try bench.worker()
            let follow = try Executable.starter(Self.arguments(bench, ["--follow", "--status", "failed"]))
            for (number, key) in ["a", "b"].enumerated() {
                try bench.publish([.plain("\(key)-good"), .plain("\(key)-bad", host: "unknown-1")])
                try eventually("the failure of \(key) is shown", seconds: 30, otherwise: { follow.errors }) {
                    follow.output.split(separator: "\n").count == number + 2
                }
            }
            follow.signal(SIGINT)
            #expect(try follow.wait() == 0)
            #expect(follow.output.contains("b-bad") && !follow.output.contains("good"))
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }
    }
}
