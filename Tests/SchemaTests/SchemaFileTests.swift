import Foundation
import Testing

@testable import Core
@testable import Schemas
@testable import Settings

/// The files of `schemas/`, the texts in the program and the worker's code say the same. UPDATE_EXAMPLES=1 writes the
/// examples of the worker's results into the schema, and the schemas into the program's code.
@Suite struct SchemaFileTests {
    static func read(_ file: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent("schemas/\(file)"), encoding: .utf8)
    }

    static func json(_ file: String) throws -> JSON { try JSON(parsing: Array(try read(file).utf8)) }

    /// The Swift file with a document's text.
    static func source(_ schema: Schema, _ text: String) -> String {
        """
        // swift-format-ignore-file
        // Made from schemas/\(schema.file) by Tests/SchemaTests/SchemaFileTests.swift.
        extension Schema {
            static let \(schema.rawValue)Text = #\"""

        """ + text + "\n\"\"\"#\n}\n"
    }

    private static func sourceFile(_ schema: Schema) -> URL {
        root.appendingPathComponent("Sources/Schemas/Schema+\(schema.rawValue.capitalized).swift")
    }

    @Test func `the examples in the schemas are the files of examples, and the program has the schemas' text`() throws {
        if updates { try Self.update() }
        let request = try Self.json(Schema.request.file)
        #expect(request["examples"] == .array([try Self.json("examples/request-plain.data.json")]))
        let results = try Self.json(Schema.result.file)["$defs"]
        for status in Status.allCases.map(\.rawValue) {
            let example = try Self.json("examples/result-\(status).json")
            #expect(results?[status]?["examples"] == .array([example]), "\(status)")
        }
        for schema in Schema.allCases {
            let text = try Self.read(schema.file)
            let source = Self.sourceFile(schema)
            #expect(try String(contentsOf: source, encoding: .utf8) == Self.source(schema, text))
            // After an update this holds once the program is built again.
            #expect(updates || schema.text == text, "\(schema)")
        }
    }

    private static func update() throws {
        var lines = try read(Schema.result.file).split(separator: "\n", omittingEmptySubsequences: false).map(
            String.init)
        for status in Status.allCases.map(\.rawValue) {
            let start = "      \"examples\": ["
            let place = try #require(lines.firstIndex { $0.hasPrefix(start + "{\"status\":\"\(status)\"") })
            lines[place] = start + (try json("examples/result-\(status).json")).text + "]"
        }
        try lines.joined(separator: "\n").write(
            to: root.appendingPathComponent("schemas/\(Schema.result.file)"), atomically: true, encoding: .utf8)
        for schema in Schema.allCases {
            try source(schema, try read(schema.file)).write(to: sourceFile(schema), atomically: true, encoding: .utf8)
        }
    }

    @Test func `the schema has each field of a request, and no other`() throws {
        let names = try Self.members(try Self.json(Schema.request.file)["properties"])
        #expect(Set(names) == Set(MisspelledField.known))
    }

    @Test func `the schema has a shape for each status, and names each member of a result`() throws {
        let schema = try Self.json(Schema.result.file)
        let shapes = schema["oneOf"]?.array?.compactMap { $0["$ref"]?.string } ?? []
        #expect(shapes == Status.allCases.map { "#/$defs/\($0.rawValue)" })
        for status in Status.allCases.map(\.rawValue) {
            #expect(schema["$defs"]?[status]?["properties"]?["status"]?["const"] == .string(status))
        }
        var playback = Playback(seed: 5)
        playback.play(requests: 1_000)
        let writer = ResultWriter(requestsTopic: "r")
        for result in playback.results {
            let value = try JSON(parsing: writer.record(result).value)
            #expect(Self.unknown(value, schema["$defs"]?["result"], schema) == [], "\(result.status)")
        }
    }

    @Test func `the AsyncAPI document names what is there`() throws {
        let document = try Self.json(Schema.asyncapi.file)
        #expect(document["asyncapi"] == .string("3.1.0"))
        for reference in Self.references(document) {
            let parts = reference.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            var place: JSON? = parts[0].isEmpty ? document : try Self.json(parts[0])
            for name in parts.count > 1 ? parts[1].split(separator: "/") : [] { place = place?[String(name)] }
            #expect(place != nil, "\(reference)")
        }
        let channels = document["channels"]
        #expect(channels?["requests"]?["address"]?.string == SettingTable.requestsTopic.row.defaultText)
        #expect(channels?["results"]?["address"]?.string == SettingTable.resultsTopic.row.defaultText)
        let operation = document["operations"]?["startPlugin"]
        let group = operation?["bindings"]?["kafka"]?["groupId"]?["default"]
        #expect(group?.string == SettingTable.group.row.defaultText)
        #expect(operation?["reply"]?["messages"]?.array?.count == Status.allCases.count)
        #expect(try Self.members(channels?["results"]?["messages"]).count == Status.allCases.count)
    }

    @Test func `the AsyncAPI document names each header of a result, and those that are always there`() throws {
        let headers = try Self.json(Schema.asyncapi.file)["components"]?["schemas"]?["resultHeaders"]
        let traced = [
            Header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Header("tracestate", "a=1"),
            Header("ce_traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Header("ce_tracestate", "a=1"), Header("ce_specversion", "1.0"), Header("ce_id", "1"),
            Header("ce_source", "s"), Header("ce_correlationid", "c"),
        ]
        let body = #"{"project_id":"p","plugin_code":"ndr","host_id_list":["h"]}"#
        let records = [(body, traced), ("{}", [])].enumerated().map { offset, request in
            Record(
                position: Position(partition: 0, offset: Int64(offset)), timestamp: nil, key: nil,
                value: Array(request.0.utf8), headers: request.1)
        }
        let written = Playback.results(of: records).sorted { $0.position < $1.position }.map {
            Set(ResultWriter(requestsTopic: "r").record($0).headers.map(\.name))
        }
        #expect(written.first == Set(try Self.members(headers?["properties"])))
        #expect(written.last == Set(headers?["required"]?.array?.compactMap(\.string) ?? []))
    }

    private static func members(_ object: JSON?) throws -> [String] {
        guard case .object(let members)? = object else { throw CancellationError() }
        return members.map(\.name)
    }

    private static func references(_ json: JSON) -> [String] {
        switch json {
        case .object(let members):
            members.flatMap { member in
                member.name == "$ref" ? [member.value.string].compactMap { $0 } : references(member.value)
            }
        case .array(let elements): elements.flatMap(references)
        default: []
        }
    }

    /// The members of a value that the schema does not name.
    private static func unknown(_ value: JSON, _ schema: JSON?, _ whole: JSON) -> [String] {
        if schema?["$ref"]?.string == "#/$defs/error" { return unknown(value, whole["$defs"]?["error"], whole) }
        switch value {
        case .object(let members):
            return members.flatMap { member in
                let rules = schema?["properties"]?[member.name]
                return rules == nil ? [member.name] : unknown(member.value, rules, whole)
            }
        case .array(let elements): return elements.flatMap { unknown($0, schema?["items"], whole) }
        default: return []
        }
    }
}
