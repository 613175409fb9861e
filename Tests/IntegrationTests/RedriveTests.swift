import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Redriving {
        static func arguments(_ bench: WorkerHarness, _ more: [String]) -> [String] {
            [
                "redrive", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                "--results-topic", bench.topics.results,
            ] + more
        }

        /// Runs the command to its end.
        static func redrive(_ bench: WorkerHarness, _ more: [String], exits code: Int32 = 0) throws -> Executable {
            let executable = try Executable.starter(arguments(bench, more))
            let ended = try executable.wait()
            #expect(ended == code, "\(executable.errors)")
            return executable
        }

        static func lines(_ executable: Executable) throws -> [JSON] {
            try executable.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
        }

        /// The records of the requests topic with a header that names a result, by that result.
        static func copies(_ bench: WorkerHarness) throws -> [String: [JSON]] {
            let text = try run(
                "kcat", ["-C", "-b", bench.broker.bootstrap, "-t", bench.topics.requests, "-e", "-q", "-J"])
            let records = try text.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
            return Dictionary(grouping: records.filter { header($0, "redrive-of") != nil }) {
                header($0, "redrive-of") ?? ""
            }
        }

        static func header(_ record: JSON, _ name: String) -> String? {
            let texts = (record["headers"]?.array ?? []).map { $0.string ?? "" }
            return texts.firstIndex(of: name).map { texts[$0 + 1] }
        }

        static func stop(_ worker: Executable) throws {
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        static func audit(_ bench: WorkerHarness) throws {
            let audit = try Executable.starter([
                "audit", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                "--results-topic", bench.topics.results, "--older-than", "0s",
            ])
            #expect(try audit.wait() == 0, "\(audit.output) \(audit.errors)")
        }

        /// Requests for a faulty host that failed, and one more that succeeded. No worker runs.
        static func failed(_ name: String, _ count: Int) throws -> WorkerHarness {
            let bench = try WorkerHarness(name, sandbox: ["--quota", "off", "--fault", "HSS.1001:host=bad"])
            let worker = try bench.worker()
            try bench.publish(
                (0..<count).map { .plain("k\($0)", host: "bad") } + [.plain("good")], more: ["-H", "origin=siem"])
            try bench.waitForResults(count + 1, worker)
            try stop(worker)
            return bench
        }

        @Test func `failed requests are sent again once, and succeed`() throws {
            let bench = try Self.failed("redrive", 20)
            let seen = try Self.redrive(bench, ["--dry-run", "--json", "--hosts-per-call", "4"])
            let planned = try Self.lines(seen)
            #expect(planned.filter { $0["type"]?.string == "would_send" }.count == 20)
            #expect(planned[0]["code"]?["HSS.1001"]?.integer == 20)
            #expect(planned[0]["plugin_code"]?["ndr"]?.integer == 20)
            #expect(planned[1]["type"]?.string == "plan" && planned[1]["calls"]?.integer ?? 0 >= 1)
            #expect(try bench.count(bench.topics.requests) == 21)

            let first = try Self.redrive(bench, ["--yes", "--limit", "8", "--rate", "1000"])
            #expect(first.output.split(separator: "\n").count == 8)
            for says in [
                "8 of 21 in \(bench.topics.results)", "HSS.1001", "plan: 1 call, ", "left for a later run: 12",
                "sent 8 requests",
            ] { #expect(first.errors.contains(says), "\(says): \(first.errors)") }
            let second = try Self.lines(Self.redrive(bench, ["--yes", "--json", "--rate", "1000"]))
            #expect(second.filter { $0["type"]?.string == "sent" }.count == 12)
            #expect(second.filter { $0["type"]?.string == "sent_before" }.count == 8)
            let third = try Self.redrive(bench, ["--yes"])
            #expect(third.errors.contains("left out: 20, already sent again"), "\(third.errors)")

            let copies = try Self.copies(bench)
            #expect(copies.count == 20 && copies.values.allSatisfy { $0.count == 1 })
            for line in second where line["type"]?.string == "sent" {
                let copy = try #require(copies[line["redrive_of"]?.string ?? ""]?.first)
                #expect(copy["partition"] == line["partition"] && copy["offset"] == line["offset"])
                #expect(copy["key"] == line["idempotency_key"])
                #expect(Self.header(copy, "origin") == "siem" && Self.header(copy, "redrive-generation") == "1")
                #expect(copy["payload"]?.string?.hasPrefix(#"{"priority":"bulk","idempotency_key""#) ?? false)
            }
            let sound = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0", "--quota", "off"])
            let worker = try bench.worker(["--endpoint", sound.firstLine()])
            try bench.waitForResults(41, worker)
            try Self.stop(worker)
            let results = try bench.results()
            #expect(results.filter { $0.status == "succeeded" }.count == 21)
            #expect(results.filter { $0.status == "failed" }.count == 20)
            try bench.checkOneResultEach(41)
            try Self.audit(bench)
            let none = try Self.redrive(bench, ["--yes"])
            #expect(none.errors.contains("left out: 20, its key has a later outcome"), "\(none.errors)")
        }

        @Test(.needsKafka) func `killed fifty times and resumed, each chosen request is sent once`() throws {
            let bench = try Self.failed("killed", 200)
            var generator = SystemRandomNumberGenerator()
            var sentByKilled = 0
            // Most runs are killed while they send.
            let began = Date()
            _ = try Self.redrive(bench, ["--dry-run"])
            let longest = UInt32((Date().timeIntervalSince(began) + 2.5) * 1_000_000)
            for _ in 0..<50 {
                let redrive = try Executable.starter(Self.arguments(bench, ["--yes", "--rate", "10"]))
                usleep(UInt32.random(in: 0...longest, using: &generator))
                redrive.signal(SIGKILL)
                try redrive.wait()
                sentByKilled += redrive.output.split(separator: "\n").filter { $0.contains("generation") }.count
            }
            #expect((20..<200).contains(sentByKilled), "\(sentByKilled) were sent by runs that were killed")
            _ = try Self.redrive(bench, ["--yes", "--rate", "1000"])
            let copies = try Self.copies(bench)
            #expect(copies.count == 200)
            #expect(copies.values.allSatisfy { $0.count == 1 })
            let sound = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0", "--quota", "off"])
            let worker = try bench.worker(["--endpoint", sound.firstLine()])
            try bench.waitForResults(401, worker)
            try Self.stop(worker)
            try bench.checkOneResultEach(401)
            #expect(try bench.results().filter { $0.status == "succeeded" }.count == 201)
            try Self.audit(bench)
        }

        @Test func `a request is not sent again more often than --max-generation allows`() throws {
            let bench = try Self.failed("loop", 3)
            let worker = try bench.worker()
            for generation in 1...2 {
                let sent = try Self.lines(
                    Self.redrive(bench, ["--yes", "--json", "--rate", "1000", "--max-generation", "2"]))
                #expect(sent.compactMap { $0["generation"]?.integer } == Array(repeating: Int64(generation), count: 3))
                try bench.waitForResults(4 + generation * 3, worker)
            }
            let refused = try Self.redrive(bench, ["--yes", "--max-generation", "2"], exits: 1)
            #expect(refused.errors.contains("left out: 3, sent again too often (--max-generation)"))
            #expect(refused.output.isEmpty)
            try Self.stop(worker)
            try Self.audit(bench)
        }

        @Test(.needsKafka) func `dead letters are sent again with their own bytes, key and headers`() throws {
            let bench = try WorkerHarness("letters", sandbox: ["--quota", "off", "--fault", "HSS.1001:host=bad"])
            let topic = bench.topics.requests + ".dead"
            try bench.broker.tool("kafka-topics.sh", ["--create", "--topic", topic, "--partitions", "2"])
            let worker = try bench.worker(["--dead-letter-topic", topic])
            try bench.publish(
                [.plain("a", host: "bad"), .plain("b"), .init(key: "c", value: "no JSON")], more: ["-H", "origin=siem"])
            try bench.waitForResults(3, worker)
            try Self.stop(worker)
            let sent = try Self.lines(
                Self.redrive(bench, ["--dead-letter-topic", topic, "--yes", "--json", "--rate", "1000"]))
            #expect(sent.filter { $0["type"]?.string == "sent" }.count == 2)
            let copies = try Self.copies(bench).values.flatMap { $0 }.sorted {
                $0["key"]?.string ?? "" < $1["key"]?.string ?? ""
            }
            #expect(copies.map { $0["key"]?.string } == ["a", "c"])
            #expect(copies.last?["payload"]?.string == "no JSON")
            for copy in copies {
                let names = (copy["headers"]?.array ?? []).enumerated().filter { $0.offset % 2 == 0 }
                #expect(names.map(\.element.string) == ["origin", "redrive-of", "redrive-generation"])
            }
            let again = try Self.redrive(bench, ["--dead-letter-topic", topic, "--yes"])
            #expect(again.errors.contains("left out: 2, already sent again"), "\(again.errors)")
            let policy = try bench.worker(["--dead-letter-topic", topic])
            try bench.waitForResults(5, policy)
            try Self.stop(policy)
            try Self.audit(bench)
        }

        @Test func `nothing is sent without an answer or a terminal, and wrong settings are named`() throws {
            let bench = try Self.failed("asked", 2)
            for (arguments, says) in [
                ([], "yes: give --yes to send without being asked"),
                (["--yes", "--status", "succeeded"], "status: \"succeeded\" cannot be sent again"),
                (["--yes", "--dead-letter-topic", bench.topics.requests], "is also the --requests-topic"),
                (["--yes", "--since", "1h", "--until", "2h"], "must be shorter than --since"),
                (["--yes", "--rate", "0"], "rate (--rate)"),
            ] {
                let refused = try Self.redrive(bench, arguments, exits: 64)
                #expect(refused.errors.contains(says), "\(refused.errors)")
            }
            let command = ([Executable.binary.path] + Self.arguments(bench, ["--rate", "1000"])).joined(separator: " ")
            for (answer, sent) in [("n", 0), ("", 0), ("y", 2)] {
                let text = try run("bash", ["-c", "echo \(answer) | script -qec '\(command); echo exit=$?' /dev/null"])
                #expect(text.contains("Send 2 requests again? [y/N]"), "\(text)")
                #expect(text.contains("exit=\(sent == 0 ? 1 : 0)"), "\(text)")
                #expect(try bench.count(bench.topics.requests) == 3 + sent)
            }
        }
    }
}
