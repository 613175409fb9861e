import Foundation
import Testing

@testable import Core
@testable import Reporting

/// The events against the rules of OCSF 1.8.0 for class 7001 with the cloud profile, copied here by hand from
/// https://schema.ocsf.io/1.8.0/classes/remediation_activity?profiles=cloud: what is required, what type it has and
/// which values it may have.
@Suite struct OCSFTests {
    enum Kind {
        case integer, text, object, array
    }

    struct Rule {
        var path: String
        var kind: Kind
        var isRequired = false
        var values: ClosedRange<Int64>?
        var other: [Int64] = []

        func allows(_ number: Int64) -> Bool { (values?.contains(number) ?? true) || other.contains(number) }
    }

    static let rules: [Rule] = [
        Rule(path: "activity_id", kind: .integer, isRequired: true, values: 0...5, other: [99]),
        Rule(path: "category_uid", kind: .integer, isRequired: true, values: 7...7),
        Rule(path: "class_uid", kind: .integer, isRequired: true, values: 7001...7001),
        Rule(path: "type_uid", kind: .integer, isRequired: true, values: 700_100...700_105, other: [700_199]),
        Rule(path: "severity_id", kind: .integer, isRequired: true, values: 0...6, other: [99]),
        Rule(path: "time", kind: .integer, isRequired: true), Rule(path: "command_uid", kind: .text, isRequired: true),
        Rule(path: "metadata", kind: .object, isRequired: true),
        Rule(path: "metadata.version", kind: .text, isRequired: true),
        Rule(path: "metadata.product", kind: .object, isRequired: true),
        Rule(path: "metadata.product.name", kind: .text, isRequired: true),
        Rule(path: "cloud", kind: .object, isRequired: true),
        Rule(path: "cloud.provider", kind: .text, isRequired: true),
        Rule(path: "status_id", kind: .integer, values: 0...6, other: [99]), Rule(path: "status", kind: .text),
        Rule(path: "status_code", kind: .text), Rule(path: "status_detail", kind: .text),
        Rule(path: "message", kind: .text), Rule(path: "timezone_offset", kind: .integer),
        Rule(path: "observables", kind: .array), Rule(path: "metadata.uid", kind: .text),
        Rule(path: "metadata.original_event_uid", kind: .text), Rule(path: "metadata.original_time", kind: .text),
        Rule(path: "metadata.log_name", kind: .text), Rule(path: "metadata.profiles", kind: .array),
        Rule(path: "metadata.product.vendor_name", kind: .text), Rule(path: "metadata.tenant_uid", kind: .text),
        Rule(path: "metadata.correlation_uid", kind: .text), Rule(path: "cloud.account", kind: .object),
        Rule(path: "cloud.account.uid", kind: .text), Rule(path: "api", kind: .object),
        Rule(path: "api.operation", kind: .text), Rule(path: "api.request", kind: .object),
        Rule(path: "api.request.uid", kind: .text), Rule(path: "api.response", kind: .object),
        Rule(path: "api.response.code", kind: .integer), Rule(path: "api.response.error", kind: .text),
        Rule(path: "api.response.error_message", kind: .text), Rule(path: "remediation", kind: .object),
        Rule(path: "remediation.desc", kind: .text), Rule(path: "unmapped", kind: .object),
        Rule(path: "activity_name", kind: .text), Rule(path: "category_name", kind: .text),
        Rule(path: "class_name", kind: .text), Rule(path: "type_name", kind: .text),
        Rule(path: "severity", kind: .text),
    ]
    /// Captions of `status_id` and `severity_id`.
    static let statuses: [Int64: String] = [
        0: "Unknown", 1: "Success", 2: "Failure", 3: "Does Not Exist", 4: "Partial", 5: "Unsupported", 6: "Error",
    ]
    static let severities: [Int64: String] = [
        0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal",
    ]

    static func find(_ path: String, in event: JSON) -> JSON? {
        path.split(separator: ".").reduce(Optional(event)) { $0?[String($1)] }
    }

    /// Each rule that the event breaks.
    static func faults(_ event: JSON) -> [String] {
        var faults: [String] = []
        for rule in rules {
            guard let value = find(rule.path, in: event) else {
                if rule.isRequired { faults.append("\(rule.path) is missing") }
                continue
            }
            switch (rule.kind, value) {
            case (.integer, .integer(let number)): if !rule.allows(number) { faults.append("\(rule.path): \(number)") }
            case (.text, .string(let text)): if text.isEmpty { faults.append("\(rule.path) is empty") }
            case (.object, .object), (.array, .array): break
            default: faults.append("\(rule.path) is \(value.typeName)")
            }
        }
        guard case .object(let members) = event else { return ["not an object"] }
        for member in members where !rules.contains(where: { $0.path == member.name }) {
            faults.append("\(member.name) is not an attribute")
        }
        let id = event["status_id"]?.integer ?? -1
        if id != 99 && statuses[id] != event["status"]?.string { faults.append("status is not the caption of \(id)") }
        let severity = event["severity_id"]?.integer ?? -1
        if severities[severity] != event["severity"]?.string { faults.append("severity is not the caption") }
        if event["type_uid"]?.integer != 700_100 + (event["activity_id"]?.integer ?? 0) { faults.append("type_uid") }
        for observable in event["observables"]?.array ?? [] where observable["type_id"]?.integer == nil {
            faults.append("observable without type_id")
        }
        return faults
    }

    static func example(_ status: Status) throws -> JSON {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("schemas/examples/result-\(status.rawValue).json")
        return try JSON(parsing: Array(Data(contentsOf: file)))
    }

    @Test(arguments: [
        (Status.succeeded, 1, 1, "Success"), (.partiallySucceeded, 4, 3, "Partial"), (.failed, 2, 3, "Failure"),
        (.rejected, 2, 2, "Failure"), (.expired, 2, 2, "Failure"), (.conflict, 2, 2, "Failure"),
        (.duplicate, 99, 1, "duplicate"),
    ]) func `the event of each status keeps the rules of the schema`(
        _ status: Status, _ id: Int64, _ severity: Int64, _ caption: String
    ) throws {
        let event = OCSFEvent.event(try Self.example(status), resultsTopic: "plugin.start.results")
        #expect(Self.faults(event).isEmpty)
        #expect(event["status_id"]?.integer == id)
        #expect(event["severity_id"]?.integer == severity)
        #expect(event["status"]?.string == caption)
    }

    @Test func `the rules find what is missing, of a wrong type or out of range`() throws {
        guard case .object(let members) = OCSFEvent.event(try Self.example(.failed), resultsTopic: "t") else { return }
        for rule in Self.rules where rule.isRequired && !rule.path.contains(".") {
            let without = JSON.object(members.filter { $0.name != rule.path })
            #expect(Self.faults(without).contains("\(rule.path) is missing"))
        }
        for (name, value) in [
            ("severity_id", JSON.integer(7)), ("status_id", .string("2")), ("class_uid", .integer(7002)),
        ] {
            let changed = JSON.object(members.filter { $0.name != name } + [.init(name, value)])
            #expect(!Self.faults(changed).isEmpty)
        }
    }

    @Test func `an event has the request's position, hosts, call and error`() throws {
        let event = OCSFEvent.event(try Self.example(.failed), resultsTopic: "plugin.start.results")
        #expect(event["command_uid"]?.string == "plugin.start.requests/0/3")
        #expect(event["metadata"]?["uid"]?.string == "plugin.start.requests/0/3/failed")
        #expect(event["time"]?.integer == 1_767_225_600_000)
        let observed = event["observables"]?.array?.map { $0["value"]?.string }
        #expect(observed == ["noagent-77777777-8888-9999-aaaa-bbbbbbbbbbbb"])
        #expect(event["api"]?["response"]?["code"]?.integer == 400)
        #expect(event["status_code"]?.string == "HSS.1001")
        #expect(event["message"]?.string == "Start plugin ndr on 1 host: failed, The host has no agent")
        #expect(event["unmapped"]?["idempotency_key"]?.string == "alert-2/ndr")
    }
}
