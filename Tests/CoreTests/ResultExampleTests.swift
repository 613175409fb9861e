import Foundation
import Testing

@testable import Core

/// `schemas/examples/result-*.json` are what the worker writes, byte for byte. `make schemas` checks them against the
/// schema. UPDATE_EXAMPLES=1 rewrites them.
@Suite struct ResultExampleTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("schemas/examples")

    /// One result of each status, from one short history.
    static func results() -> [StartResult] {
        var bench = PipelineHarness { $0.hostsPerCall = 2 }
        bench.receive(
            key: "good", hosts: ["h1", "h2"],
            more: #","correlation_id":"incident-42","requested_by":"soar","reason":"test""#)
        bench.answer(200)
        bench.receive(key: "good", hosts: ["h2", "h1"])
        bench.receive(key: "good", hosts: ["h3"])
        bench.receive(key: "refused", hosts: ["h4"])
        bench.answer(400, code: "HSS.1001", text: "The agent is not installed on the server.")
        bench.receive(#"{"project_id":"p","idempotency_key":"bad"}"#)
        bench.receive(key: "late", more: #","expires_at":"2020-01-01T00:00:00Z""#)
        bench.receive(key: "split", hosts: ["h1", "h2", "h5"])
        bench.answer(200)
        bench.settleWith(400, code: "HSS.1001", text: "The agent is not installed on the server.")
        return bench.results
    }

    @Test func `there is an example of each status`() {
        #expect(Set(Self.results().map(\.status)) == Set(Status.allCases))
    }

    @Test(arguments: Status.allCases) func `each example equals the result that is written`(_ status: Status) throws {
        let result = try #require(Self.results().first { $0.status == status })
        let value = ResultWriter(requestsTopic: "plugin.start.requests").record(result).value
        let url = Self.directory.appendingPathComponent("result-\(status.rawValue).json")
        if ProcessInfo.processInfo.environment["UPDATE_EXAMPLES"] == "1" { try Data(value + [10]).write(to: url) }
        #expect(try Data(contentsOf: url) == Data(value + [10]))
    }
}
