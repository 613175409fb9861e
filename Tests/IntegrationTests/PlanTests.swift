import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Planning {
        @Test func `a plan matches the sandbox's journal of a live run`() throws {
            let bench = try WorkerHarness("plan", sandbox: ["--quota", "5/3s"], partitions: 1)
            let requests =
                (0..<70).map { number in
                    WorkerHarness.Request(
                        key: "k\(number % 60)",
                        value:
                            #"{"idempotency_key":"k\#(number % 60)","project_id":"p\#(number % 60 % 3)","plugin_code":"ndr","#
                            + #""host_id_list":["\#(number % 60 == 33 ? "unknown-" : "")h\#(number % 60)"],"priority":"\#(["normal", "critical", "bulk"][number % 60 % 5 % 3])"}"#
                    )
                } + [.init(key: "bad", value: "{}")]
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("plan-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try requests.map { $0.value + "\n" }.joined().write(to: file, atomically: true, encoding: .utf8)
            let settings = ["--quota", "5/3s", "--hosts-per-call", "4"]
            let atOnce = ["--at-once"]
            let text = try run(Executable.binary.path, ["plan", file.path, "--json"] + settings + atOnce)
            let lines = try text.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
            let planned = lines.filter { $0["at_ms"] != nil }

            try bench.publish(requests)
            // The same plan from the topic.
            let fromTopic = try run(
                Executable.binary.path,
                [
                    "plan", "--json", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic",
                    bench.topics.requests,
                ]
                    + settings + atOnce)
            #expect(fromTopic == text)
            let worker = try bench.worker(settings, alone: false)
            try bench.waitForResults(71, worker)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)

            let journal = try bench.journal().filter { $0["api"]?.string == "start" }
            func described(_ call: JSON) -> String {
                let hosts = (call["hosts"]?.array ?? []).compactMap(\.string).joined(separator: " ")
                return "\(call["project_id"]?.string ?? "") \(hosts) \(call["error_code"]?.string ?? "")"
            }
            // Calls of one window are in flight together and can arrive in any order.
            func byWindow(_ calls: [(at: Int64, call: String)]) -> [Int64: [String]] {
                Dictionary(grouping: calls, by: { $0.at / 3000 }).mapValues { $0.map(\.call).sorted() }
            }
            let begin = try #require(journal.first?["time"]?.integer)
            let made = byWindow(try journal.map { (try #require($0["time"]?.integer) - begin, described($0)) })
            let wanted = byWindow(try planned.map { (try #require($0["at_ms"]?.integer), described($0)) })
            #expect(made == wanted)
            let statuses = lines.compactMap { $0["status"]?.string }.sorted()
            #expect(try statuses == bench.results().map(\.status).sorted())
            #expect(planned.count >= 15)
        }

        /// Requests that arrive while the worker runs: so many at once, and the next so many seconds later.
        @Test(.needsKafka, arguments: [(count: 25, pause: 2.5, times: 3), (count: 1, pause: 0.8, times: 9)])
        func `a plan with times matches the calls of a live run`(_ burst: (count: Int, pause: Double, times: Int))
            throws
        {
            let bench = try WorkerHarness("planned", sandbox: ["--quota", "5/6s"], partitions: 1)
            let settings = ["--quota", "5/6s", "--hosts-per-call", "10"]
            let worker = try bench.worker(settings, alone: false)
            let begin = Date()
            for time in 0..<burst.times {
                try eventually("the next requests are due", seconds: 30) {
                    Date().timeIntervalSince(begin) >= Double(time) * burst.pause
                }
                try bench.publish((0..<burst.count).map { .plain("k\(time)-\($0)") })
            }
            try bench.waitForResults(burst.count * burst.times, worker)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            let text = try run(
                Executable.binary.path,
                [
                    "plan", "--json", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic",
                    bench.topics.requests,
                ] + settings)
            let planned = try text.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
                .filter { $0["at_ms"] != nil }
            let made = try bench.journal().filter { $0["api"]?.string == "start" }
            func hosts(_ calls: [JSON]) -> [String] {
                calls.map { ($0["hosts"]?.array ?? []).compactMap(\.string).sorted().joined(separator: " ") }
            }
            #expect(hosts(made) == hosts(planned))
            // Each call was made within a fraction of a second of its time in the plan.
            let first = try #require(made.first?["time"]?.integer)
            let start = planned.first?["at_ms"]?.integer ?? 0
            for (call, plan) in zip(made, planned) {
                let difference = (call["time"]?.integer ?? 0) - first - ((plan["at_ms"]?.integer ?? 0) - start)
                #expect(abs(difference) < 500)
            }
        }
    }
}
