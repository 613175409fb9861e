import Testing

@testable import Core

/// The envelopes of a request, as the CloudEvents Kafka protocol binding and JSON format 1.0.2 define them.
@Suite struct EnvelopeTests {
    static let body = #"{"project_id":"p","plugin_code":"ndr","host_id_list":["a"]}"#
    static let binary = [Header("ce_specversion", "1.0"), Header("ce_id", "7"), Header("ce_source", "/s")]

    static func event(_ members: String) -> String {
        #"{"specversion":"1.0","id":"7","source":"/s","type":"t","data":\#(body)\#(members)}"#
    }

    static func structured(
        _ members: String, type: String = "application/cloudevents+json", headers: [Header] = []
    ) -> Result<StartRequest, Rejection> {
        RequestDecoderTests.decode(event(members), headers: [Header("content-type", type)] + headers)
    }

    static func rejection(_ result: Result<StartRequest, Rejection>) throws -> Rejection {
        guard case .failure(let rejection) = result else { throw CancellationError() }
        return rejection
    }

    @Test(arguments: [
        "application/cloudevents+json", "APPLICATION/CloudEvents+JSON", "application/cloudevents+json; charset=UTF-8",
        "application/cloudevents+json;charset=utf-8", " application/cloudevents+json ; charset=utf-8",
    ]) func `the media type of structured mode is matched without case and parameters`(_ type: String) throws {
        #expect(try Self.structured("", type: type).get().idempotencyKey == "/s 7")
    }

    @Test(arguments: [
        ("application/cloudevents+avro", "application/cloudevents+json"),
        ("application/cloudevents", "application/cloudevents+json"),
        ("Application/CloudEvents+Protobuf", "application/cloudevents+json"),
        ("application/cloudevents-batch+json", "one event per record"),
    ]) func `another event format is rejected by its header, whatever the value is`(_ type: String, _ rule: String)
        throws
    {
        for value in [Array(Self.event("").utf8), Array("[]".utf8), [0x02, 0xFF]] {
            let rejection = try Self.rejection(
                RequestDecoderTests.decode(value, headers: [Header("content-type", type)] + Self.binary))
            #expect(rejection.field == "header content-type" && rejection.rule.contains(rule), "\(rejection.message)")
        }
    }

    @Test func `names of headers are matched without case`() throws {
        let headers = [Header("CE_SpecVersion", "1.0"), Header("Ce_Id", "7"), Header("CE_SOURCE", "/s")]
        #expect(try RequestDecoderTests.decode(Self.body, headers: headers).get().idempotencyKey == "/s 7")
    }

    @Test(arguments: ["a%20b", "%E6%BC%A2", "100%", "%%", "漢字", "a b+c"])
    func `a header's value is UTF-8 as it stands, without percent-encoding`(_ text: String) throws {
        let headers = [
            Header("ce_specversion", "1.0"), Header("ce_id", text), Header("ce_source", "/s"),
            Header("ce_correlationid", text),
        ]
        let request = try RequestDecoderTests.decode(Self.body, headers: headers).get()
        #expect(request.idempotencyKey == "/s \(text)")
        #expect(request.fields.correlationID == text)
    }

    @Test(arguments: ["ce_correlationid", "ce_expirytime", "ce_id", "ce_source"])
    func `an attribute that is not UTF-8 rejects the request`(_ name: String) throws {
        for value in [[0xFF], nil] as [[UInt8]?] {
            let headers = Self.binary.filter { $0.name != name } + [Header(name, value)]
            let rejection = try Self.rejection(RequestDecoderTests.decode(Self.body, headers: headers))
            #expect(rejection.field == "header \(name)" && rejection.rule.contains("UTF-8 text"))
        }
    }

    @Test func `an attribute that is null counts as absent`() throws {
        let request = try Self.structured(#","correlationid":null,"expirytime":null,"subject":null,"traceparent":null"#)
            .get()
        #expect(request.fields.correlationID == nil && request.expiresAt == nil)
        let withoutID = RequestDecoderTests.decode(
            #"{"specversion":"1.0","id":null,"source":"/s","type":"t","data":\#(Self.body)}"#,
            headers: [Header("content-type", "application/cloudevents+json")])
        #expect(try Self.rejection(withoutID).message == "id is required in a CloudEvent")
    }

    @Test func `data_base64 is rejected by its name, also beside data`() throws {
        let without = #"{"specversion":"1.0","id":"7","source":"/s","type":"t","data_base64":"e30="}"#
        let headers = [Header("content-type", "application/cloudevents+json")]
        for result in [
            RequestDecoderTests.decode(without, headers: headers), Self.structured(#","data_base64":"e30=""#),
        ] {
            let rejection = try Self.rejection(result)
            #expect(rejection.field == "data_base64" && rejection.rule.contains("is not supported"))
        }
    }

    @Test func `headers of binary mode beside a structured event change nothing`() throws {
        let headers = [Header("ce_specversion", "1.0"), Header("ce_id", "other"), Header("ce_source", "/other")]
        #expect(try Self.structured("", headers: headers).get().idempotencyKey == "/s 7")
    }

    @Test func `the five bytes of a schema registry are taken off in every envelope`() throws {
        let id: [UInt8] = [0, 0, 0, 1, 0x7B]
        let plain = id + Array(RequestDecoderTests.good.utf8)
        #expect(try RequestDecoderTests.decode(plain).get().idempotencyKey == "k")
        let binary = id + Array(Self.body.utf8)
        #expect(try RequestDecoderTests.decode(binary, headers: Self.binary).get().idempotencyKey == "/s 7")
        let structured = id + Array(Self.event("").utf8)
        let headers = [Header("content-type", "application/cloudevents+json")]
        #expect(try RequestDecoderTests.decode(structured, headers: headers).get().idempotencyKey == "/s 7")
    }

    @Test(
        arguments: [
            ([0], "must be JSON: not a JSON value at byte 0"),
            ([0, 0, 0, 0, 1], "must be JSON: not a JSON value at byte 0"),
            ([0, 0, 0, 0, 1, 0x78], "must be JSON after the schema registry's 5 bytes: not a JSON value at byte 0"),
            ([0, 0, 0, 0, 1, 0x5B, 0x5D], "must be a JSON object, and is an array"),
            ([1, 0, 0, 0, 1, 0x7B, 0x7D], "must be JSON: not a JSON value at byte 0"),
        ] as [([UInt8], String)]) func `what follows the five bytes must be a JSON object`(
            _ value: [UInt8], _ rule: String
        )
        throws
    {
        let rejection = try Self.rejection(RequestDecoderTests.decode(value))
        #expect(rejection.field == "value" && rejection.rule == rule)
    }
}
