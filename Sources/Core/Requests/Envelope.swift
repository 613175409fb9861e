/// A record without its envelope, which is CloudEvents 1.0 in structured or binary mode, or none (CloudEvents Kafka
/// protocol binding 1.0.2, sections 3.2 and 3.3).
struct Envelope {
    var data: JSON = .null
    var id: String?
    var source: String?
    var correlationID: String?
    var expiryTime: String?
    var traceparent: String?
    var tracestate: String?
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
        let json: JSON
        do throws(JSON.SyntaxError) {
            json = try JSON(parsing: value)
        } catch {
            throw Fault(field: "value", rule: "must be JSON: \(error)")
        }
        guard case .object = json else {
            throw Fault(field: "value", rule: "must be a JSON object, and is \(json.typeName)")
        }
        let contentType = record.header("content-type").map(Self.mediaType)
        if contentType == "application/cloudevents+json" {
            try read(structured: json)
        } else if contentType == "application/cloudevents-batch+json" {
            throw Fault(field: "header content-type", rule: "must not be a batch: send one event per record")
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
            traceparent = record.header("traceparent")
            tracestate = record.header("tracestate")
        }
    }

    private mutating func read(structured event: JSON) throws(Fault) {
        func text(_ name: String, required: Bool = false) throws(Fault) -> String? {
            guard let value = event[name] else {
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
        traceparent = try text("traceparent")
        tracestate = try text("tracestate")
        guard let data = event["data"] else {
            throw Fault(field: "data", rule: "is required, as a JSON object (data_base64 is not supported)")
        }
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
        correlationID = record.header("ce_correlationid")
        expiryTime = record.header("ce_expirytime")
        traceparent = record.header("ce_traceparent") ?? record.header("traceparent")
        tracestate = record.header("ce_tracestate") ?? record.header("tracestate")
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
