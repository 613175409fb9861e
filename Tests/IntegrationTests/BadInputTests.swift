import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct BadInput {
        struct Case {
            var bytes: Data
            var headers: [String] = []
            var expected: String

            init(_ text: String, _ expected: String, headers: [String] = []) {
                bytes = Data(text.utf8)
                self.headers = headers
                self.expected = expected
            }
        }

        static func with(_ members: String) -> String {
            #"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","# + members + "}"
        }

        static let cases: [Case] = [
            Case("not json", "value must be JSON"), Case("[1,2]", "value must be a JSON object"),
            Case(#"{"idempotency_key":"k"}"#, "project_id is required"),
            Case(#"{"idempotency_key":"k","project_id":"","plugin_code":"x"}"#, "project_id must not be empty"),
            Case(
                #"{"idempotency_key":"k","project_id":"\#(String(repeating: "p", count: 257))","plugin_code":"x"}"#,
                "project_id must be at most 256"),
            Case(#"{"idempotency_key":"k","project_id":1,"plugin_code":"x"}"#, "project_id must be a string"),
            Case(
                #"{"idempotency_key":"k","project_id":null,"plugin_code":"x"}"#,
                "project_id must be a string, and is null"),
            Case(with(#""host_id_list":[]"#), "host_id_list must not be empty"),
            Case(with(#""host_id_list":"h""#), "host_id_list must be an array"),
            Case(with(#""host_id_list":["h"],"project_id":"q""#), "value must be JSON"),
            Case(
                #"{"project_id":"p","plugin_code":"x","host_id_list":["h"]}"#, "idempotency_key is required"),
            Case(String(repeating: "[", count: 50_000), "value must be JSON"),
            Case(with(#""host_id_list":["h"]"#), "header ce_specversion must be", headers: ["ce_specversion=9.9"]),
        ]

        @Test func `each bad record is rejected with field and rule, and the worker goes on`() throws {
            let bench = try WorkerHarness("bad")
            let worker = try bench.worker()
            for bad in Self.cases { try bench.publish(bytes: bad.bytes, headers: bad.headers) }
            try bench.publish(bytes: Data([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x7D]))
            try bench.publish(
                bytes: Data(Self.with(#""host_id_list":["h"],"x":"\#(String(repeating: "y", count: 900 << 10))""#).utf8)
            )
            // kcat -Z publishes an empty value as null, which is a tombstone.
            try run(
                "bash",
                ["-c", "printf 'k\\t' | kcat -P -b \(bench.broker.bootstrap) -t \(bench.topics.requests) -K '\t' -Z"])
            try bench.publish([.plain("good")])
            let all = Self.cases.count + 4
            try bench.waitForResults(all, worker)
            let results = try bench.results()
            try bench.checkOneResultEach(all)
            let details = results.filter { $0.status == "rejected" }.map { $0.json["error"]?["detail"]?.string ?? "" }
            #expect(details.count == all - 1)
            #expect(results.contains { $0.status == "succeeded" && $0.key == "good" })
            for expected in Self.cases.map(\.expected) + ["at most 262144 bytes", "must not be null", "must be JSON"] {
                #expect(details.contains { $0.contains(expected) }, "no rejection says \(expected): \(details)")
            }
            #expect(results.allSatisfy { $0.status != "rejected" || $0.json["error"]?["code"]?.string == "invalid" })
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }
    }
}
