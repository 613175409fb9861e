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
            let text = try run(Executable.binary.path, ["plan", file.path, "--json"] + settings)
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
                    + settings)
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
    }
}
