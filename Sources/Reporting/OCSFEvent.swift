package import Core

/// A result as an event of the Open Cybersecurity Schema Framework: class 7001, Remediation Activity, with the cloud
/// profile (https://schema.ocsf.io/1.8.0/classes/remediation_activity?profiles=cloud).
///
/// The activity is `Other`, because only the plugin decides whether starting it hardens a host or watches it.
package enum OCSFEvent {
    package static let version = "1.8.0"
    private static let (categoryUID, classUID, activityID): (Int64, Int64, Int64) = (7, 7001, 99)

    package static func event(_ result: JSON, resultsTopic: String) -> JSON {
        let status = Status(rawValue: result["status"]?.string ?? "")
        let normalized = normalized(status)
        let severity = severity(status)
        let error = result["error"]
        let title = error?["title"]?.string
        let detail = [title, error?["detail"]?.string].compactMap { $0 }.joined(separator: ": ")
        let code = error?["code"]?.string ?? result["status"]?.string
        let action = action(result)
        var members: [JSON.Member] = [
            .init("activity_id", .integer(activityID)), .init("activity_name", .string("Start Plugin")),
            .init("category_uid", .integer(categoryUID)), .init("category_name", .string("Remediation")),
            .init("class_uid", .integer(classUID)), .init("class_name", .string("Remediation Activity")),
            .init("type_uid", .integer(classUID * 100 + activityID)),
            .init("type_name", .string("Remediation Activity: Other")),
            .init("severity_id", .integer(severity.id)), .init("severity", .string(severity.caption)),
            .init("status_id", .integer(normalized.id)),
            .init("status", .string(normalized.caption ?? result["status"]?.string ?? "")),
        ]
        if let code { members.append(.init("status_code", .string(code))) }
        if !detail.isEmpty { members.append(.init("status_detail", .string(detail))) }
        let completed = result["completed_at"]?.string ?? ""
        members += [
            .init("time", .integer(Timestamp(rfc3339: completed)?.milliseconds ?? 0)),
            .init("timezone_offset", .integer(0)),
            .init("command_uid", .string(request(result))),
            .init(
                "message",
                .string("\(action): \([result["status"]?.string, title].compactMap { $0 }.joined(separator: ", "))")),
            .init("remediation", .object([.init("desc", .string(action))])),
            .init("metadata", metadata(result, completed, resultsTopic)), .init("cloud", cloud(result)),
        ]
        if let api = api(result) { members.append(.init("api", api)) }
        let hosts = hosts(result)
        if !hosts.isEmpty { members.append(.init("observables", .array(hosts.map(observable)))) }
        members.append(.init("unmapped", unmapped(result)))
        return .object(members)
    }

    /// `status_id` and its caption. 99 (Other) has the status of the result as its caption.
    private static func normalized(_ status: Status?) -> (id: Int64, caption: String?) {
        switch status {
        case .succeeded: (1, "Success")
        case .partiallySucceeded: (4, "Partial")
        case .failed, .rejected, .expired, .conflict: (2, "Failure")
        // Nothing was done now. The event of the first request with the key has the outcome.
        case .duplicate: (99, nil)
        case nil: (0, "Unknown")
        }
    }

    private static func severity(_ status: Status?) -> (id: Int64, caption: String) {
        switch status {
        case .succeeded, .duplicate: (1, "Informational")
        case .rejected, .expired, .conflict: (2, "Low")
        case .failed, .partiallySucceeded: (3, "Medium")
        case nil: (0, "Unknown")
        }
    }

    private static func hosts(_ result: JSON) -> [String] {
        (result["host_id_list"]?.array ?? []).compactMap(\.string)
    }

    private static func action(_ result: JSON) -> String {
        let count = hosts(result).count
        let place = result["operate_all"]?.bool == true ? "all hosts" : count == 1 ? "1 host" : "\(count) hosts"
        return "Start plugin \(result["plugin_code"]?.string ?? "(unknown)") on \(place)"
    }

    /// `TOPIC/PARTITION/OFFSET` of the request, which is the command.
    private static func request(_ result: JSON) -> String {
        let request = result["request"]
        return "\(request?["topic"]?.string ?? "")/\(request?["partition"]?.integer ?? -1)/"
            + "\(request?["offset"]?.integer ?? -1)"
    }

    private static func metadata(_ result: JSON, _ completed: String, _ topic: String) -> JSON {
        // The ce_id of the result.
        let id = "\(request(result))/\(result["status"]?.string ?? "")"
        var members: [JSON.Member] = [
            .init("version", .string(version)), .init("profiles", .array([.string("cloud")])),
            .init(
                "product",
                .object([.init("name", .string("plugin-starter")), .init("vendor_name", .string("plugin-starter"))])),
            .init("uid", .string(id)), .init("original_event_uid", .string(id)),
            .init("original_time", .string(completed)), .init("log_name", .string(topic)),
        ]
        if let id = result["correlation_id"]?.string { members.append(.init("correlation_uid", .string(id))) }
        if let project = result["project_id"]?.string { members.append(.init("tenant_uid", .string(project))) }
        return .object(members)
    }

    private static func cloud(_ result: JSON) -> JSON {
        var members: [JSON.Member] = [.init("provider", .string("Huawei Cloud"))]
        if let project = result["project_id"]?.string {
            members.append(.init("account", .object([.init("uid", .string(project))])))
        }
        return .object(members)
    }

    /// The last call that covered the request.
    private static func api(_ result: JSON) -> JSON? {
        guard let call = result["call"] else { return nil }
        let error = result["error"]
        var response: [JSON.Member] = []
        if let status = call["http_status"]?.integer { response.append(.init("code", .integer(status))) }
        if let code = error?["code"]?.string { response.append(.init("error", .string(code))) }
        if let detail = error?["detail"]?.string { response.append(.init("error_message", .string(detail))) }
        var members: [JSON.Member] = [.init("operation", .string("StartPlugin"))]
        if let id = call["request_id"]?.string {
            members.append(.init("request", .object([.init("uid", .string(id))])))
        }
        if !response.isEmpty { members.append(.init("response", .object(response))) }
        return .object(members)
    }

    private static func observable(_ host: String) -> JSON {
        .object([
            .init("name", .string("unmapped.host_id_list")), .init("type_id", .integer(10)),
            .init("type", .string("Resource UID")), .init("value", .string(host)),
        ])
    }

    /// What the schema has no attribute for, under the names of the result.
    private static func unmapped(_ result: JSON) -> JSON {
        .object(
            [
                "idempotency_key", "enterprise_project_id", "plugin_code", "operate_all", "host_id_list",
                "requested_by",
                "reason", "attempts", "call", "failed_hosts", "evidence", "original",
            ].compactMap { name in result[name].map { .init(name, $0) } })
    }
}
