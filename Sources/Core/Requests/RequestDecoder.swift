/// Decodes a record into a validated request, or into a rejection that names field and rule. No input traps.
package struct RequestDecoder: Sendable {
    /// The maximum length of a record's value in bytes. A record with a longer value is rejected unread.
    package var maximumBytes: Int
    package var policy: Policy

    package init(maximumBytes: Int, policy: Policy) {
        self.maximumBytes = maximumBytes
        self.policy = policy
    }

    package func decode(_ record: Record) -> Result<StartRequest, Rejection> {
        var reading = Reading()
        do throws(Envelope.Fault) {
            let request = try read(record, into: &reading)
            if let refusal = policy.refusal(of: request) { return .failure(Rejection(refusal, request)) }
            return .success(request)
        } catch {
            return .failure(
                Rejection(category: .invalid, field: error.field, rule: error.rule, fields: reading.fields))
        }
    }

    /// What has been read so far. It is kept when decoding fails.
    private struct Reading {
        var fields = RequestFields()
    }

    private func read(_ record: Record, into reading: inout Reading) throws(Envelope.Fault) -> StartRequest {
        let envelope = try Envelope(opening: record, maximumBytes: maximumBytes)
        let data = envelope.data
        reading.fields.trace = envelope.trace

        // Fields that are only copied are read first, so that the sender can recognise the rejection of its request.
        var key = try text("idempotency_key", in: data, 1...256)
        if key == nil { key = try keyOutside(record, envelope) }
        reading.fields.idempotencyKey = key
        let correlation = try text("correlation_id", in: data, 0...256)
        reading.fields.correlationID = correlation
        if correlation == nil {
            reading.fields.correlationID = try check(envelope.correlationID, field: "correlationid", 0...256)
        }
        let project = try text("project_id", in: data, 1...256)
        reading.fields.projectID = project
        let enterpriseProject = try text("enterprise_project_id", in: data, 1...256)
        reading.fields.enterpriseProjectID = enterpriseProject
        let plugin = try text("plugin_code", in: data, 1...64)
        reading.fields.pluginCode = plugin
        reading.fields.requestedBy = try text("requested_by", in: data, 0...256)
        reading.fields.reason = try text("reason", in: data, 0...1024)

        if let (name, meant) = MisspelledField.find(in: data) {
            throw .init(
                field: String(name.unicodeScalars.prefix(64)), rule: "is not a field; did you mean \(meant)?")
        }
        guard let key else {
            throw .init(
                field: "idempotency_key",
                rule: "is required: as a field, as header idempotency-key, or as CloudEvents source and id"
                    + (envelope.hint.map { "; \($0)" } ?? ""))
        }
        guard let project else { throw .init(field: "project_id", rule: "is required") }
        // Encoded or not, these change the path wherever a path is decoded or normalised on its way.
        if project == "." || project == ".." || project.utf8.contains(where: #"/\"#.utf8.contains) {
            throw .init(field: "project_id", rule: #"must not contain / or \ and must not be . or .."#)
        }
        guard let plugin else { throw .init(field: "plugin_code", rule: "is required") }
        let operateAll = try flag("operate_all", in: data) ?? false
        reading.fields.operateAll = operateAll
        let hosts = try self.hosts(in: data, operateAll: operateAll)
        reading.fields.hostIDs = hosts
        let expiresAt = try expiry(in: data, envelope)
        var priority = Priority.normal
        if let name = try text("priority", in: data, 0...64) {
            guard let known = Priority(rawValue: name) else {
                throw .init(field: "priority", rule: "must be one of: critical, normal, bulk")
            }
            priority = known
        }
        return StartRequest(
            idempotencyKey: key, projectID: project, enterpriseProjectID: enterpriseProject, pluginCode: plugin,
            operateAll: operateAll, hostIDs: hosts, expiresAt: expiresAt, priority: priority,
            producer: producer(record, envelope, reading.fields), fields: reading.fields)
    }

    /// A key outside the body: the header, or else the event's source and id. A source is a URI reference and contains
    /// no space, so the space between source and id keeps different pairs different.
    private func keyOutside(_ record: Record, _ envelope: Envelope) throws(Envelope.Fault) -> String? {
        if record.headers.contains(where: { $0.name.lowercased() == "idempotency-key" }) {
            guard let key = record.header("idempotency-key") else {
                throw .init(field: "header idempotency-key", rule: "must be UTF-8 text")
            }
            return try check(key, field: "header idempotency-key", 1...256)
        }
        guard let source = envelope.source, let id = envelope.id else { return nil }
        return try check("\(source) \(id)", field: "CloudEvents source and id", 1...256)
    }

    private func hosts(in data: JSON, operateAll: Bool) throws(Envelope.Fault) -> [String] {
        let field = "host_id_list"
        guard let value = data[field] else {
            if operateAll { return [] }
            throw .init(field: field, rule: "is required unless operate_all is true")
        }
        guard let elements = value.array else {
            throw .init(field: field, rule: "must be an array of strings, and is \(value.typeName)")
        }
        var seen: Set<ExactText> = []
        var hosts: [String] = []
        hosts.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard let host = element.string else {
                throw .init(field: "\(field)[\(index)]", rule: "must be a string, and is \(element.typeName)")
            }
            try check(host, field: "\(field)[\(index)]", 1...128)
            if elements.count == 1 || seen.insert(ExactText(host)).inserted { hosts.append(host) }
        }
        if operateAll { return [] }
        guard !hosts.isEmpty else { throw .init(field: field, rule: "must not be empty unless operate_all is true") }
        return hosts
    }

    private func expiry(in data: JSON, _ envelope: Envelope) throws(Envelope.Fault) -> Timestamp? {
        let field = data["expires_at"] == nil ? "expirytime" : "expires_at"
        guard let text = try text("expires_at", in: data, 0...64) ?? envelope.expiryTime else { return nil }
        guard let time = Timestamp(rfc3339: text) else {
            throw .init(field: field, rule: "must be an RFC 3339 time, such as 2026-01-02T03:04:05Z")
        }
        return time
    }

    /// A value that is not UTF-8 counts as absent, because the request says the same without it.
    private func producer(_ record: Record, _ envelope: Envelope, _ fields: RequestFields) -> String? {
        let named = [fields.requestedBy, envelope.source, record.header("requested-by")].compactMap { $0 }
        guard let name = named.first(where: { !$0.isEmpty }) else { return nil }
        return name.utf8.count <= 256 ? name : String(String.UnicodeScalarView(name.unicodeScalars.prefix(256)))
    }

    // MARK: One field

    private func text(_ field: String, in data: JSON, _ length: ClosedRange<Int>) throws(Envelope.Fault) -> String? {
        guard let value = data[field] else { return nil }
        guard let text = value.string else {
            throw .init(field: field, rule: "must be a string, and is \(value.typeName)")
        }
        return try check(text, field: field, length)
    }

    private func flag(_ field: String, in data: JSON) throws(Envelope.Fault) -> Bool? {
        guard let value = data[field] else { return nil }
        guard let flag = value.bool else {
            throw .init(field: field, rule: "must be a boolean, and is \(value.typeName)")
        }
        return flag
    }

    /// Lengths are counted in Unicode scalars, as JSON Schema counts them.
    @discardableResult
    private func check(_ text: String?, field: String, _ length: ClosedRange<Int>) throws(Envelope.Fault) -> String? {
        guard let text else { return nil }
        if length.lowerBound > 0 && text.isEmpty { throw .init(field: field, rule: "must not be empty") }
        guard text.utf8.count <= length.upperBound || text.unicodeScalars.count <= length.upperBound else {
            throw .init(
                field: field,
                rule: "must be at most \(length.upperBound) characters, and is \(text.unicodeScalars.count)")
        }
        return text
    }
}
