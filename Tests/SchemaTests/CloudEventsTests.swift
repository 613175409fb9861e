import Testing

@testable import Core

/// PyPI's cloudevents writes requests that the worker accepts, and reads its results.
@Suite(.needsPython) struct CloudEventsTests {
    private static let decoder = RequestDecoder(maximumBytes: 1 << 20, policy: Policy())

    private static func record(_ message: JSON, offset: Int) -> Record {
        let headers = (message["headers"]?.array ?? []).compactMap { pair -> Header? in
            guard let pair = pair.array, pair.count == 2, let name = pair[0].string, let text = pair[1].string else {
                return nil
            }
            return Header(name, text)
        }
        return Record(
            position: Position(partition: 0, offset: Int64(offset)), timestamp: nil, key: nil,
            value: message["value"]?.string.map { Array($0.utf8) }, headers: headers)
    }

    private static func messages() throws -> [JSON] {
        try Python.run("cloud_events.py", ["write"]).map { try JSON(parsing: Array($0.utf8)) }
    }

    @Test func `requests that the library writes in both modes are accepted with all attributes`() throws {
        let messages = try Self.messages()
        #expect(messages.filter { $0["mode"] == .string("binary") }.count == 10)
        #expect(messages.filter { $0["mode"] == .string("structured") }.count == 10)
        for (offset, message) in messages.enumerated() {
            let request = try Self.decoder.decode(Self.record(message, offset: offset)).get()
            let (id, source) = (message["id"]?.string ?? "", message["source"]?.string ?? "")
            #expect(ExactText(request.idempotencyKey) == ExactText("\(source) \(id)"))
            #expect(request.hostIDs.map(ExactText.init) == [ExactText("host \(id)")])
            #expect(request.fields.correlationID == message["correlationid"]?.string)
            #expect(request.expiresAt == Timestamp(rfc3339: "2030-01-02T03:04:05Z"))
            #expect(request.fields.trace.creation != nil)
        }
    }

    @Test func `the library reads every result, and what it writes from it is the same event`() throws {
        let results = Playback.results(
            of: try Self.messages().enumerated().map { Self.record($1, offset: $0) })
        #expect(results.count == 20)
        let writer = ResultWriter(requestsTopic: "plugin.start.requests")
        let records = results.map(writer.record)
        let lines = records.map { record in
            JSON.object([
                .init("key", .string(String(decoding: record.key, as: UTF8.self))),
                .init("value", .string(String(decoding: record.value, as: UTF8.self))),
                .init(
                    "headers",
                    .array(
                        // The worker's own header is no attribute.
                        record.headers.filter { $0.name != LedgerEntry.header }.map {
                            .array([.string($0.name), .string(String(decoding: $0.value ?? [], as: UTF8.self))])
                        })),
            ]).text
        }
        let read = try Python.run("cloud_events.py", ["read"], input: lines)
        #expect(read.count == 20)
        for (result, line) in zip(results, read) {
            let event = try JSON(parsing: Array(line.utf8))
            let attributes = event["attributes"]
            func attribute(_ name: String) -> ExactText? { attributes?[name]?.string.map(ExactText.init) }
            let value = try JSON(parsing: writer.record(result).value)
            #expect(event["data"]?["status"] == value["status"])
            #expect(attribute("id") == ExactText(writer.id(result.position, result.status)))
            #expect(attribute("source") == ExactText("/plugin-starter/plugin.start.requests"))
            #expect(attribute("type") == ExactText("hss.plugin.start.\(result.status.rawValue).v1"))
            #expect(attribute("subject") == result.fields.idempotencyKey.map(ExactText.init))
            #expect(attribute("correlationid") == result.fields.correlationID.map(ExactText.init))
            #expect(attribute("causationid") == ExactText("plugin.start.requests/\(result.position)"))
            #expect(attribute("traceparent") == result.fields.trace.creation.map { ExactText($0.description) })
            #expect(attribute("datacontenttype") == ExactText("application/json"))
        }
    }
}
