/// A record without its envelope, which is CloudEvents 1.0 in structured or binary mode, or none (CloudEvents Kafka
/// protocol binding 1.0.2, sections 3.2 and 3.3). The binding encodes headers as UTF-8 and nothing else: the percent
/// encoding of the HTTP binding is not part of it, so a `%` means itself.
struct Envelope {
    var data: JSON = .null
    var id: String?
    var source: String?
    var correlationID: String?
    var expiryTime: String?
    var trace = TraceContext()
    /// The likely mistake where a record resembles a CloudEvent and is not one.
    var hint: String?

    /// Names the field and the rule that it breaks.
    struct Fault: Error {
        var field: String
        var rule: String
    }

    init(opening record: Record, maximumBytes: Int) throws(Fault) {
        if let size = record.omittedBytes {
            throw Fault(field: "value", rule: "must be at most \(maximumBytes) bytes, and is \(size)")
        }
        guard let value = record.value else { throw Fault(field: "value", rule: "must not be null (a tombstone)") }
        guard value.count <= maximumBytes else {
            throw Fault(field: "value", rule: "must be at most \(maximumBytes) bytes, and is \(value.count)")
        }
        let contentType = record.header("content-type").map(Self.mediaType) ?? ""
        // Every type with this prefix announces structured mode, in a format that may not be JSON.
        let isStructured = contentType.hasPrefix("application/cloudevents")
        if contentType.hasPrefix("application/cloudevents-batch") {
            throw Fault(field: "header content-type", rule: "must not be a batch: send one event per record")
        }
        guard !isStructured || contentType == "application/cloudevents+json" else {
            throw Fault(
                field: "header content-type",
                rule: "must be application/cloudevents+json: no other event format is supported")
        }
        let json = try Self.json(value)
        if isStructured {
            try read(structured: json, record)
        } else if record.headers.contains(where: { $0.name.lowercased() == "ce_specversion" }) {
            try read(binary: record, data: json)
        } else {
            data = json
            if json["specversion"] != nil {
                hint = "a structured CloudEvent needs header content-type: application/cloudevents+json"
            } else if record.headers.contains(where: { $0.name.lowercased().hasPrefix("ce-") }) {
                hint = "in Kafka a CloudEvent's headers begin with ce_, not ce-"
            } else if record.headers.contains(where: { $0.name.lowercased().hasPrefix("ce_") }) {
                hint = "a CloudEvent needs header ce_specversion: 1.0"
            }
            trace = TraceContext(record)
        }
    }

    /// The JSON object in a value. A serializer for a schema registry writes 0x00 and the schema's id of four bytes
    /// before it. No JSON text begins with 0x00.
    private static func json(_ value: [UInt8]) throws(Fault) -> JSON {
        let hasID = value.count > 5 && value[0] == 0
        let json: JSON
        do throws(JSON.SyntaxError) {
            json = try JSON(parsing: hasID ? Array(value[5...]) : value)
        } catch {
            let place = hasID ? " after the schema registry's 5 bytes" : ""
            throw Fault(field: "value", rule: "must be JSON\(place): \(error)")
        }
        guard case .object = json else {
            throw Fault(field: "value", rule: "must be a JSON object, and is \(json.typeName)")
        }
        return json
    }

    private mutating func read(structured event: JSON, _ record: Record) throws(Fault) {
        // An attribute that is null counts as absent (CloudEvents JSON format 1.0.2, section 2.2).
        func text(_ name: String, required: Bool = false) throws(Fault) -> String? {
            guard let value = event[name], value != .null else {
                if required { throw Fault(field: name, rule: "is required in a CloudEvent") }
                return nil
            }
            guard let text = value.string else {
                throw Fault(field: name, rule: "must be a string, and is \(value.typeName)")
            }
            if required && text.isEmpty { throw Fault(field: name, rule: "must not be empty in a CloudEvent") }
            return text
        }
        try Self.check(version: try text("specversion", required: true), field: "specversion")
        id = try text("id", required: true)
        source = try text("source", required: true)
        correlationID = try text("correlationid")
        expiryTime = try text("expirytime")
        trace = TraceContext(
            record, traceparent: try text("traceparent"), tracestate: try text("tracestate"))
        if event["data_base64"] != nil {
            throw Fault(field: "data_base64", rule: "is not supported: put the request into data, as a JSON object")
        }
        guard let data = event["data"] else { throw Fault(field: "data", rule: "is required, as a JSON object") }
        guard case .object = data else {
            throw Fault(field: "data", rule: "must be a JSON object, and is \(data.typeName)")
        }
        self.data = data
    }

    private mutating func read(binary record: Record, data: JSON) throws(Fault) {
        try Self.check(version: record.header("ce_specversion"), field: "header ce_specversion")
        id = record.header("ce_id")
        source = record.header("ce_source")
        for (name, value) in [("ce_id", id), ("ce_source", source)] where value?.isEmpty ?? true {
            throw Fault(field: "header \(name)", rule: "is required in a CloudEvent, as UTF-8 text")
        }
        func text(_ name: String) throws(Fault) -> String? {
            guard record.headers.contains(where: { $0.name.lowercased() == name }) else { return nil }
            guard let text = record.header(name) else {
                throw Fault(field: "header \(name)", rule: "must be UTF-8 text")
            }
            return text
        }
        correlationID = try text("ce_correlationid")
        expiryTime = try text("ce_expirytime")
        trace = TraceContext(
            record, traceparent: record.header("ce_traceparent"), tracestate: record.header("ce_tracestate"))
        self.data = data
    }

    private static func check(version: String?, field: String) throws(Fault) {
        guard version == "1.0" else {
            throw Fault(
                field: field, rule: "must be \"1.0\", and is \"\(String((version ?? "").unicodeScalars.prefix(32)))\"")
        }
    }

    /// `Application/CloudEvents+JSON; charset=utf-8` -> `application/cloudevents+json`
    private static func mediaType(_ text: String) -> String {
        let type = text.prefix { $0 != ";" }.lowercased()
        return String(type.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
