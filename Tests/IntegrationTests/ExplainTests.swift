import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Explains {
        static func explain(
            _ bench: WorkerHarness, _ key: String, _ more: [String] = [], code: Int32 = 0
        ) throws -> (text: String, json: JSON) {
            let arguments =
                [
                    "explain", key, "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic",
                    bench.topics.requests, "--results-topic", bench.topics.results, "--group", bench.topics.group,
                ] + more
            let text = try Executable.starter(arguments)
            #expect(try text.wait() == code, "\(text.errors)")
            let json = try Executable.starter(arguments + ["--json"])
            #expect(try json.wait() == code, "\(json.errors)")
            return (text.output, try JSON(parsing: Array(json.output.utf8)))
        }

        @Test func `a key's requests are explained: unknown, answered, repeated, refused, in a call`() throws {
            let bench = try WorkerHarness(
                "explain", sandbox: ["--quota", "off", "--fault", "HSS.1001:host=bad", "--fault", "hang:host=slow"])
            let dead = bench.topics.requests + ".dead"
            try bench.broker.create(dead)
            let worker = try bench.worker(["--admin-listen", "127.0.0.1:0", "--dead-letter-topic", dead])
            try bench.publish([
                .plain("good"), .plain("again"), .plain("bad"),
                .init(key: "broken", value: #"{"idempotency_key":"broken"}"#),
            ])
            try bench.waitForResults(4, worker)
            try bench.publish([.plain("again"), .plain("again", host: "another"), .plain("slow")])
            try bench.waitForResults(6, worker)
            let admin = ["--admin", try worker.adminURL(), "--dead-letter-topic", dead]

            let unknown = try Self.explain(bench, "never sent", admin, code: 1)
            #expect(unknown.text.hasPrefix("no request with the key never sent in \(bench.topics.requests)"))
            #expect(unknown.json["requests"]?.array?.isEmpty ?? false)

            let good = try Self.explain(bench, "good", admin)
            #expect(good.text.contains("good: 1 request\n") && good.text.contains(": succeeded"))
            #expect(good.text.contains("HTTP 200, 1 requests and 1 hosts shared it"))
            #expect(good.json["requests"]?.array?.first?["dead_letter"]?.bool == false)

            let again = try Self.explain(bench, "again", admin)
            let statuses = (again.json["requests"]?.array ?? []).map { $0["result"]?["status"]?.string }
            #expect(statuses == ["succeeded", "duplicate", "conflict"])
            #expect(again.text.contains("it repeats \(bench.topics.requests)/"))
            #expect(again.text.contains("The key belongs to a request for another action. Use a new key."))

            for key in ["bad", "broken"] {
                let told = try Self.explain(bench, key, admin)
                #expect(told.text.contains(key == "bad" ? "HSS.1001" : "invalid Not a valid request: project_id"))
                #expect(told.text.contains("its record is a dead letter"))
                #expect(told.json["requests"]?.array?.first?["dead_letter"]?.bool == true)
            }

            var slow = try Self.explain(bench, "slow", admin)
            try eventually("the call is sent", seconds: 20) {
                slow = try Self.explain(bench, "slow", admin)
                return slow.text.contains("in call ")
            }
            let open = slow.json["requests"]?.array?.first?["open"]
            #expect(open?["stage"]?.string == "called" && open?["next_call"] == nil)
            let alone = try Self.explain(bench, "slow")
            #expect(alone.text.contains("not answered yet") && alone.text.contains("from the topics alone"))
            let nobody = try Self.explain(bench, "slow", ["--admin", "http://127.0.0.1:1"])
            #expect(nobody.text.contains("from the topics without http://127.0.0.1:1"))
        }

        @Test func `a request that waits is told why and when it will be called`() throws {
            let bench = try WorkerHarness("explain-wait", sandbox: ["--quota", "1/30s"])
            let worker = try bench.worker(
                ["--quota", "1/30s", "--admin-listen", "127.0.0.1:0", "--hosts-per-call", "2"], alone: false)
            try bench.publish([.plain("first")])
            try bench.waitForResults(1, worker)
            let start = Date()
            try bench.publish((0..<5).map { .plain("w\($0)") })
            let admin = ["--admin", try worker.adminURL()]
            var told = try Self.explain(bench, "w4", admin)
            try eventually("the worker has the request", seconds: 20) {
                told = try Self.explain(bench, "w4", admin)
                return told.text.contains("waits for a call")
            }
            #expect(told.text.contains("quota: no slot is free until "))
            let next = try #require(told.json["requests"]?.array?.first?["open"]?["next_call"])
            let at = try #require(next["at"]?.string.flatMap(Timestamp.init(rfc3339:)))
            let calls = try #require(next["calls_before"]?.integer)
            let wait = Double(at.milliseconds) / 1000 - start.timeIntervalSince1970
            #expect((0...2).contains(calls) && wait > Double(calls) * 30 && wait < Double(calls + 1) * 30 + 2)
            #expect(told.text.contains("after \(calls) other call\(calls == 1 ? "" : "s")"))
        }

        @Test(.needsKafka) func `in a storm on three replicas the expected times are right within a window`() throws {
            let bench = try WorkerHarness("explain-storm", sandbox: ["--quota", "5/2s"])
            let arguments = ["--quota", "5/2s", "--hosts-per-call", "25", "--admin-listen", "127.0.0.1:0"]
            let workers = try (0..<3).map { _ in try bench.worker(arguments, alone: false) }
            let admins = try workers.map { try $0.adminURL() }
            try bench.publish(OneCaller.storm(1_000))
            try bench.waitForResults(50, workers[0])
            // Ten at a time, because each answer takes more than a second.
            var expected: [String: Int64] = [:]
            for round in 0..<4 {
                let keys = (0..<10).map { "k\($0 * 97 + round * 31)" }
                let urls = keys.flatMap { key in admins.map { "\($0)/explain?key=\(key)" } }
                let text = try run("curl", ["-s", "--parallel", "--parallel-max", "30"] + urls)
                for line in text.split(separator: "\n") {
                    let answer = try JSON(parsing: Array(line.utf8))
                    guard let key = answer["idempotency_key"]?.string,
                        let at = answer["requests"]?.array?.first?["next_call"]?["at"]?.string
                    else { continue }
                    expected[key] = Timestamp(rfc3339: at)?.milliseconds
                }
            }
            try bench.waitForResults(1_000, workers[0])
            var called: [String: Int64] = [:]
            for call in try bench.journal() where call["api"]?.string == "start" {
                for host in (call["hosts"]?.array ?? []).compactMap(\.string) { called[host] = call["time"]?.integer }
            }
            let errors = expected.compactMap { key, at in called[key].map { abs($0 - at) } }.sorted()
            print("expected times of \(errors.count) requests: worst \(errors.last ?? -1) ms off")
            #expect(errors.count >= 20)
            #expect(errors.count { $0 <= 2_000 } * 100 >= errors.count * 95, "\(errors)")
            try OneCaller.stop(workers)
        }
    }
}
