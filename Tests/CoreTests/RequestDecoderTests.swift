import Foundation
import Testing

@testable import Core

@Suite struct RequestDecoderTests {
    static let good = #"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["a","b","a"]}"#

    static func decode(
        _ value: [UInt8]?, headers: [Header] = [], policy: Policy = Policy(), maximumBytes: Int = 256 << 10
    ) -> Result<StartRequest, Rejection> {
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: value, headers: headers)
        return RequestDecoder(maximumBytes: maximumBytes, policy: policy).decode(record)
    }

    static func decode(_ text: String, headers: [Header] = [], policy: Policy = Policy()) -> Result<
        StartRequest, Rejection
    > {
        decode(Array(text.utf8), headers: headers, policy: policy)
    }

    @Test func `a plain request is read, and its hosts are deduplicated`() throws {
        let request = try Self.decode(Self.good).get()
        #expect(request.idempotencyKey == "k")
        #expect(request.hostIDs == ["a", "b"])
        #expect(request.priority == .normal)
        #expect(!request.operateAll)
    }

    @Test(arguments: [
        ("expire_at", "expires_at"), ("expiresAt", "expires_at"), ("Expires-At", "expires_at"), ("priorty", "priority"),
        ("prioirty", "priority"), ("correlationid", "correlation_id"), ("operate_al", "operate_all"),
    ]) func `a misspelled field rejects the request and names the intended field`(
        _ name: String, _ meant: String
    ) {
        guard case .failure(let rejection) = Self.decode(Self.with("\"\(name)\":true")) else {
            Issue.record("\(name) was ignored")
            return
        }
        #expect(rejection.field == name)
        #expect(rejection.rule.contains(meant))
        #expect(rejection.fields.idempotencyKey == "k")
    }

    @Test(arguments: ["region", "tenant", "trace", "x", "", "priority_class", "hosts"])
    func `an unrelated field is ignored`(_ name: String) throws {
        _ = try Self.decode(Self.with("\"\(name)\":true")).get()
    }

    @Test(arguments: [
        (#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}}"#, [], "content-type"),
        (#"{"project_id":"p"}"#, [Header("ce-specversion", "1.0"), Header("ce-id", "1")], "ce_, not ce-"),
        (#"{"project_id":"p"}"#, [Header("ce_id", "1"), Header("ce_source", "/s")], "ce_specversion"),
    ]) func `an incomplete CloudEvent is rejected with what it lacks`(
        _ text: String, _ headers: [Header], _ says: String
    ) {
        guard case .failure(let rejection) = Self.decode(text, headers: headers) else {
            Issue.record("it was read")
            return
        }
        #expect(rejection.field == "idempotency_key" && rejection.rule.contains(says), "\(rejection.rule)")
    }

    struct Bad: CustomTestStringConvertible, Sendable {
        var text: String
        var field: String
        var rule: String
        var testDescription: String { String(text.prefix(60)) }

        init(_ text: String, _ field: String, _ rule: String) {
            self.text = text
            self.field = field
            self.rule = rule
        }
    }

    static func with(_ member: String) -> String {
        #"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["a"],"# + member + "}"
    }

    static let bad = [
        Bad("nonsense", "value", "must be JSON"),
        Bad("[]", "value", "must be a JSON object, and is an array"),
        Bad("{}", "idempotency_key", "is required"),
        Bad(#"{"idempotency_key":"k"}"#, "project_id", "is required"),
        Bad(#"{"idempotency_key":"k","project_id":"p"}"#, "plugin_code", "is required"),
        Bad(#"{"idempotency_key":"k","project_id":"p","plugin_code":"x"}"#, "host_id_list", "is required"),
        Bad(
            #"{"idempotency_key":"k","project_id":"p","plugin_code":"x","host_id_list":[]}"#, "host_id_list",
            "must not be empty"),
        Bad(
            #"{"idempotency_key":"k","project_id":"p","plugin_code":"x","host_id_list":["a",7]}"#, "host_id_list[1]",
            "must be a string, and is"),
        Bad(
            #"{"idempotency_key":"k","project_id":"p","plugin_code":"x","host_id_list":[""]}"#, "host_id_list[0]",
            "must not be empty"),
        Bad(
            #"{"idempotency_key":"k","project_id":"","plugin_code":"x","host_id_list":["a"]}"#, "project_id",
            "must not be empty"),
        Bad(
            #"{"idempotency_key":"","project_id":"p","plugin_code":"x","host_id_list":["a"]}"#, "idempotency_key",
            "must not be empty"),
        Bad(
            #"{"idempotency_key":null,"project_id":"p","plugin_code":"x","host_id_list":["a"]}"#, "idempotency_key",
            "must be a string, and is null"),
        Bad(
            #"{"idempotency_key":"k","project_id":7,"plugin_code":"x","host_id_list":["a"]}"#, "project_id",
            "must be a string"),
        Bad(with(#""operate_all":"yes""#), "operate_all", "must be a boolean"),
        Bad(with(#""priority":"urgent""#), "priority", "must be one of: critical, normal, bulk"),
        Bad(with(#""expires_at":"tomorrow""#), "expires_at", "RFC 3339"),
        Bad(with(#""reason":"\#(String(repeating: "x", count: 1025))""#), "reason", "at most 1024"),
        Bad(with(#""project_id":"q""#), "value", "must be JSON"),
        Bad(
            #"{"idempotency_key":"\#(String(repeating: "k", count: 257))","project_id":"p","plugin_code":"x","host_id_list":["a"]}"#,
            "idempotency_key", "at most 256"),
        Bad(
            #"{"idempotency_key":"k","project_id":"p","plugin_code":"\#(String(repeating: "c", count: 65))","host_id_list":["a"]}"#,
            "plugin_code", "at most 64"),
        Bad(#"{"idempotency_key":"k","project_id":"p","plugin_code":"x","operate_all":true}"#, "operate_all", "policy"),
        Bad(String(repeating: "[", count: 100_000), "value", "must be JSON"),
        Bad(
            #"{"a":"# + String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000) + "}", "value",
            "must be JSON"),
        Bad(good + " x", "value", "must be JSON"),
    ]

    @Test(arguments: bad) func `bad input is rejected with its field and rule`(_ bad: Bad) throws {
        guard case .failure(let rejection) = Self.decode(bad.text) else {
            Issue.record("accepted: \(bad.text.prefix(80))")
            return
        }
        #expect(rejection.field == bad.field)
        #expect(rejection.rule.contains(bad.rule), "\(rejection.rule)")
    }

    @Test(arguments: [
        "p", "0a1b2c", "project name", "..a", "a.b", "...", "é漢字", "a%2F..%2Fb", ".", "..", "a/../b", "a/b", "/",
        #"a\..\b"#,
        #"\"#,
    ]) func `decoder and schema agree on which project ids cannot change a path`(_ project: String) throws {
        let value = JSON.object([
            .init("idempotency_key", .string("k")), .init("project_id", .string(project)),
            .init("plugin_code", .string("ndr")), .init("host_id_list", .array([.string("h")])),
        ])
        let isTaken = if case .success = Self.decode(value.text) { true } else { false }
        #expect(isTaken == (project != "." && project != ".." && !project.contains { #"/\"#.contains($0) }))
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = try Data(contentsOf: root.appendingPathComponent("schemas/start-request.schema.json"))
        let schema = try #require(try JSON(parsing: Array(file))["properties"]?["project_id"])
        let pattern = try Regex(try #require(schema["pattern"]?.string))
        let refused = schema["not"]?["enum"]?.array ?? []
        #expect(isTaken == (project.firstMatch(of: pattern) != nil && !refused.contains(.string(project))))
    }

    @Test func `a tombstone, bytes that are not UTF-8 and a value above the limit are rejected`() {
        for (value, rule) in [
            (nil, "must not be null"), ([0x22, 0xFF, 0x22], "must be JSON"),
            ([UInt8](repeating: 0x20, count: 900 << 10), "must be at most 262144 bytes"),
        ] as [([UInt8]?, String)] {
            guard case .failure(let rejection) = Self.decode(value) else {
                Issue.record("accepted")
                continue
            }
            #expect(rejection.field == "value")
            #expect(rejection.rule.contains(rule))
        }
    }

    @Test func `a structured event gives key, correlation and expiry`() throws {
        let event = #"""
            {"specversion":"1.0","id":"e1","source":"/siem","type":"t","correlationid":"c","expirytime":"2026-01-02T03:04:05Z",
             "data":{"project_id":"p","plugin_code":"ndr","host_id_list":["a"]}}
            """#
        let request = try Self.decode(
            event, headers: [Header("Content-Type", "Application/CloudEvents+JSON; charset=utf-8")]
        ).get()
        #expect(request.idempotencyKey == "/siem e1")
        #expect(request.fields.correlationID == "c")
        #expect(request.expiresAt == Timestamp(rfc3339: "2026-01-02T03:04:05Z"))
    }

    @Test func `a binary event takes its key from source and id, unless the field is set`() throws {
        let headers = [Header("ce_specversion", "1.0"), Header("ce_id", "7"), Header("ce_source", "s")]
        let body = #"{"project_id":"p","plugin_code":"ndr","host_id_list":["a"]}"#
        #expect(try Self.decode(body, headers: headers).get().idempotencyKey == "s 7")
        #expect(try Self.decode(Self.good, headers: headers).get().idempotencyKey == "k")
        let header = [Header("idempotency-key", "from-header")]
        #expect(try Self.decode(body, headers: header).get().idempotencyKey == "from-header")
    }

    @Test func `an unknown specversion is rejected in both modes`() {
        let structured = Self.decode(
            #"{"specversion":"2.0","id":"1","source":"s","data":{}}"#,
            headers: [Header("content-type", "application/cloudevents+json")])
        let binary = Self.decode(Self.good, headers: [Header("ce_specversion", "0.3")])
        for (result, field) in [(structured, "specversion"), (binary, "header ce_specversion")] {
            guard case .failure(let rejection) = result else {
                Issue.record("accepted")
                continue
            }
            #expect(rejection.field == field)
            #expect(rejection.rule.contains("must be \"1.0\""))
        }
    }

    @Test func `the policy's lists refuse everything that they do not name`() throws {
        var policy = Policy()
        policy.projects = ["q"]
        guard case .failure(let rejection) = Self.decode(Self.good, policy: policy) else {
            Issue.record("accepted")
            return
        }
        #expect(rejection.category == .policy)
        #expect(rejection.fields.idempotencyKey == "k")
        policy.projects = ["p"]
        policy.maximumHosts = 1
        #expect(throws: Rejection.self) { try Self.decode(Self.good, policy: policy).get() }
        policy.maximumHosts = 2
        #expect(try Self.decode(Self.good, policy: policy).get().projectID == "p")
    }

    @Test func `two spellings of one letter are two different keys`() throws {
        let composed = try Self.decode(
            #"{"idempotency_key":"\u00e9","project_id":"p","plugin_code":"x","host_id_list":["a"]}"#
        ).get()
        let split = try Self.decode(
            #"{"idempotency_key":"e\u0301","project_id":"p","plugin_code":"x","host_id_list":["a"]}"#
        ).get()
        #expect(composed.scopedKey != split.scopedKey)
    }

    @Test func `mutated requests never trap and always end as a request or a rejection`() {
        var generator = SplitMix64(seed: 7)
        var rejected = 0
        for _ in 0..<20_000 {
            var bytes = Array(Self.good.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                }
            }
            if case .failure = Self.decode(bytes) { rejected += 1 }
        }
        #expect(rejected > 5_000 && rejected < 20_000)
    }
}
