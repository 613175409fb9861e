import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// The audit checks the worker's promises from the topics alone, and detects altered topics.
    @Suite struct Audits {
        private static let bad = 30

        /// Plays a worker's answers to requests of every kind. All results exist when this returns.
        private static func play(_ bench: WorkerHarness) throws -> Int {
            let plain = (0..<600).map { WorkerHarness.Request.plain("k\($0 % 500)") }
            let conflicts = (0..<20).map { WorkerHarness.Request.plain("k\($0)", host: "other") }
            let invalid = (0..<bad).map {
                WorkerHarness.Request(key: "bad\($0)", value: $0 % 2 == 0 ? "{}" : "no json")
            }
            let refused = (0..<10).map { WorkerHarness.Request.plain("refused\($0 % 5)", host: "unknown-\($0 % 5)") }
            let expired = WorkerHarness.Request(
                key: "late",
                value: #"{"idempotency_key":"late","project_id":"p","plugin_code":"ndr","host_id_list":["h"],"#
                    + #""expires_at":"2020-01-01T00:00:00Z"}"#)
            let all = plain + conflicts + invalid + refused + [expired]
            let worker = try bench.worker(["--log-level", "warning"], ready: false)
            try bench.publish(all)
            try bench.publish(
                bytes: Data(#"{"project_id":"p","plugin_code":"ndr","host_id_list":["h"]}"#.utf8),
                headers: [
                    "ce_specversion=1.0", "ce_id=1", "ce_source=/soar", "ce_type=start",
                    "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                ])
            try bench.waitForResults(all.count + 1, worker)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0, "\(worker.errors)")
            return all.count + 1
        }

        private static func audit(
            _ bench: WorkerHarness, _ more: [String] = [], exits: Int32, _ location: SourceLocation = #_sourceLocation
        ) throws -> [JSON] {
            let audit = try Executable.starter(
                [
                    "audit", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                    "--results-topic", bench.topics.results, "--older-than", "0s", "--json",
                ] + more)
            #expect(try audit.wait() == exits, "\(audit.output) \(audit.errors)", sourceLocation: location)
            return try audit.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
        }

        /// Writes a record to the results topic, as another writer would.
        private static func inject(_ bench: WorkerHarness, partition: Int, _ value: String, headers: [String]) throws {
            let directory = try Executable.scratch("inject")
            defer { try? FileManager.default.removeItem(at: directory) }
            let file = directory.appendingPathComponent("value")
            try Data(value.utf8).write(to: file)
            try run(
                "kcat",
                ["-P", "-b", bench.broker.bootstrap, "-t", bench.topics.results, "-p", "\(partition)", "-k", "k"]
                    + headers.flatMap { ["-H", $0] } + [file.path])
        }

        /// One result as it is stored in the topic: partition, value, headers.
        private static func result(_ bench: WorkerHarness, status: String) throws -> (Int, String, [String]) {
            let text = try run(
                "kcat",
                ["-C", "-b", bench.broker.bootstrap, "-t", bench.topics.results, "-e", "-q", "-J", "-o", "beginning"])
            for line in text.split(separator: "\n") {
                let record = try JSON(parsing: Array(line.utf8))
                let value = record["payload"]?.string ?? ""
                guard value.hasPrefix(#"{"status":"\#(status)""#) else { continue }
                let words = (record["headers"]?.array ?? []).map { $0.string ?? "" }
                let headers = stride(from: 0, to: words.count - 1, by: 2).map { "\(words[$0])=\(words[$0 + 1])" }
                return (Int(record["partition"]?.integer ?? -1), value, headers)
            }
            throw Unmet("no result is \(status)")
        }

        @Test func `a worker's results are proven, and later damage is found by a resumed audit`() throws {
            let bench = try WorkerHarness("audit")
            let directory = try Executable.scratch("state")
            defer { try? FileManager.default.removeItem(at: directory) }
            let state = ["--state", directory.appendingPathComponent("audit").path]
            let count = try Self.play(bench)

            let proof = try #require(try Self.audit(bench, state, exits: 0).last)
            #expect(proof["proven"]?.bool == true)
            #expect(proof["requests"]?.integer == Int64(count) && proof["results"]?.integer == Int64(count))
            #expect(proof["statuses"]?["duplicate"]?.integer == 105)
            #expect(proof["statuses"]?["conflict"]?.integer == 20)
            #expect(proof["statuses"]?["rejected"]?.integer == Int64(Self.bad))
            #expect(proof["statuses"]?["expired"]?.integer == 1)
            #expect(try Self.audit(bench, ["--since", "1h"], exits: 0).last?["proven"]?.bool == true)

            // Nothing is new at first. Then another writer adds a result without permission.
            #expect(try Self.audit(bench, state, exits: 0).last?["results"]?.integer == 0)
            let (partition, value, headers) = try Self.result(bench, status: "succeeded")
            try Self.inject(bench, partition: partition, value, headers: headers)
            let doubled = try Self.audit(bench, state, exits: 1)
            #expect(doubled.dropLast().map { $0["violation"]?.string } == ["repeated-with-the-same-id"])
            #expect(doubled.last?["violations"]?["repeated-with-the-same-id"]?.integer == 1)
            let request = try #require(try JSON(parsing: Array(value.utf8))["request"]?["offset"]?.integer)
            #expect(doubled.first?["request"]?["partition"]?.integer == Int64(partition))
            #expect(doubled.first?["request"]?["offset"]?.integer == request)
            #expect(doubled.first?["result"]?["partition"]?.integer == Int64(partition))
            _ = try Self.audit(bench, ["--allow-repeats"], exits: 0)

            // The same for a request that never existed.
            let stray = value.replacing(#""offset":\#(request),"#, with: #""offset":777777,"#)
            try Self.inject(
                bench, partition: partition, stray,
                headers: headers.map { $0.replacing("/\(partition)/\(request)", with: "/\(partition)/777777") })
            try Self.inject(bench, partition: 3, "not a result", headers: [])
            let last = try Self.audit(bench, state, exits: 1)
            #expect(Set(last.dropLast().map { $0["violation"]?.string }) == ["no-request", "unreadable"])
            #expect(last.contains { $0["request"]?["offset"]?.integer == 777_777 })
            let whole = try Self.audit(bench, exits: 1)
            #expect(whole.count == 4, "both and the one before, and the numbers: \(whole)")
            #expect(whole.last?["requests"]?.integer == Int64(count))
        }

        @Test func `an unanswered request is found once it is old enough`() throws {
            let bench = try WorkerHarness("unanswered")
            try bench.publish([.plain("alone")])
            let young = try Self.audit(bench, ["--older-than", "1h"], exits: 0)
            #expect(young.last?["open"]?.integer == 1)
            let old = try Self.audit(bench, exits: 1)
            #expect(old.first?["violation"]?.string == "unanswered")
            #expect(old.first?["key"]?.string == "alone")
            let text = try Executable.starter([
                "audit", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                "--results-topic", bench.topics.results, "--older-than", "0s",
            ])
            #expect(try text.wait() == 1)
            #expect(text.output.hasPrefix("unanswered: request "))
            #expect(text.output.contains("key alone"))
            #expect(text.output.hasSuffix("refuted: 1 violations\n"))
        }

        @Test(.needsKafka) func `an invalid state file, or one of other topics, is refused with the reason`() throws {
            let bench = try WorkerHarness("state")
            let directory = try Executable.scratch("state")
            defer { try? FileManager.default.removeItem(at: directory) }
            let file = directory.appendingPathComponent("audit")
            _ = try Self.audit(bench, ["--state", file.path], exits: 0)
            func refusal(_ arguments: [String]) throws -> String {
                let audit = try Executable.starter(
                    ["audit", "--bootstrap-servers", bench.broker.bootstrap, "--results-topic", bench.topics.results]
                        + arguments)
                #expect(try audit.wait() == 64, "\(audit.errors)")
                return audit.errors
            }
            let other = ["--requests-topic", bench.topics.results, "--state", file.path]
            #expect(try refusal(other).contains("was made with --requests-topic \(bench.topics.requests)"))
            let same = ["--requests-topic", bench.topics.requests, "--state"]
            #expect(
                try refusal(same + [file.path, "--dedupe-window", "1h"]).contains("was made with --dedupe-window 24h"))
            #expect(try refusal(same + [directory.path]).contains("cannot be read"))
            #expect(try refusal(same + ["/nowhere/audit"]).contains("cannot be written"))
            try Data("audit: 1\n".utf8).write(to: file)
            #expect(try refusal(same + [file.path]).contains("is not an audit state"))
            #expect(try refusal(["--requests-topic", "nowhere"]).contains("there is no topic nowhere"))
        }
    }
}
