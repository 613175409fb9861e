import Foundation
import Testing

@testable import Core

/// `schemas/examples/request-for-STATUS.json` is answered with `result-STATUS.json`, byte for byte. `make schemas` checks
/// both against their schemas. UPDATE_EXAMPLES=1 rewrites the results; after that, rewrite what SchemaTests makes of them.
@Suite struct ResultExampleTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("schemas/examples")

    /// The order matters: the first request has the key that two others use again.
    static let order: [Status] = [
        .succeeded, .duplicate, .conflict, .failed, .partiallySucceeded, .rejected, .expired,
    ]

    /// The results of the example requests. A host whose name begins with noagent- is refused.
    static func results() throws -> [StartResult] {
        var harness = PipelineHarness { $0.hostsPerCall = 2 }
        for status in order {
            let name = "request-for-\(status.rawValue)"
            let body = try String(contentsOf: directory.appendingPathComponent("\(name).json"), encoding: .utf8)
            let file = directory.appendingPathComponent("\(name).headers")
            let headers = try FileManager.default.fileExists(atPath: file.path) ? Self.headers(file) : []
            harness.receive(body, key: "record-key", headers: headers)
            while let call = harness.calls.first {
                if call.hostIDs.contains(where: { $0.hasPrefix("noagent-") }) {
                    harness.answer(400, code: "HSS.1001", text: "The agent is not installed on the server.")
                } else {
                    harness.answer(200)
                }
            }
        }
        return harness.results
    }

    /// Lines of `name=value`, as kcat takes them.
    static func headers(_ file: URL) throws -> [Header] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map { line in
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            return Header(parts[0], parts[1])
        }
    }

    @Test func `each example request has the outcome that its name says`() throws {
        #expect(try Self.results().map(\.status) == Self.order)
        #expect(Set(Self.order) == Set(Status.allCases))
    }

    @Test(arguments: Status.allCases) func `each example equals the result that is written`(_ status: Status) throws {
        let result = try #require(try Self.results().first { $0.status == status })
        let record = ResultWriter(requestsTopic: "plugin.start.requests").record(result)
        try Self.check("result-\(status.rawValue).json", Data(record.value + [10]))
        guard status == .succeeded else { return }
        let headers = record.headers.map { "\($0.name)=\(String(decoding: $0.value ?? [], as: UTF8.self))\n" }
        try Self.check("result-succeeded.headers", Data(headers.joined().utf8))
    }

    private static func check(_ name: String, _ written: Data) throws {
        let url = directory.appendingPathComponent(name)
        if ProcessInfo.processInfo.environment["UPDATE_EXAMPLES"] == "1" { try written.write(to: url) }
        #expect(try Data(contentsOf: url) == written, "\(name)")
    }
}
