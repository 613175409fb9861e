/// A result as the record to produce: key, value, headers. It goes to the partition number of its request.
package struct ResultRecord: Equatable, Sendable {
    package var partition: Int32
    package var key: [UInt8]
    package var value: [UInt8]
    package var headers: [Header]
}

/// Writes results as binary-mode CloudEvents. The value is complete without the headers (the contract's "Result").
package struct ResultWriter: Sendable {
    package var requestsTopic: String

    package init(requestsTopic: String) { self.requestsTopic = requestsTopic }

    /// The result's `ce_id`. It is built from the request's position and the status alone, so that a result that is
    /// published twice has the same id.
    package func id(_ position: Position, _ status: Status) -> String {
        "\(requestsTopic)/\(position.partition)/\(position.offset)/\(status.rawValue)"
    }

    package func record(_ result: StartResult) -> ResultRecord {
        // A compacted topic refuses a record without a key, and the whole batch with it.
        let key =
            result.fields.idempotencyKey.map { Array($0.utf8) } ?? result.recordKey
            ?? Array(id(result.position, result.status).utf8)
        return ResultRecord(
            partition: result.position.partition, key: key, value: value(result).bytes, headers: headers(result))
    }

    private func value(_ result: StartResult) -> JSON {
        let fields = result.fields
        var members: [JSON.Member] = []
        members.reserveCapacity(20)
        func add(_ name: String, _ value: String?) {
            if let value { members.append(.init(name, .string(value))) }
        }
        add("status", result.status.rawValue)
        add("idempotency_key", fields.idempotencyKey)
        add("project_id", fields.projectID)
        add("enterprise_project_id", fields.enterpriseProjectID)
        add("plugin_code", fields.pluginCode)
        if let operateAll = fields.operateAll { members.append(.init("operate_all", .bool(operateAll))) }
        if !fields.hostIDs.isEmpty {
            members.append(.init("host_id_list", .array(fields.hostIDs.map(JSON.string))))
        }
        add("correlation_id", fields.correlationID)
        add("requested_by", fields.requestedBy)
        add("reason", fields.reason)
        members.append(.init("request", request(result)))
        add("completed_at", result.completedAt.description)
        members.append(.init("attempts", .integer(Int64(result.attempts))))
        if let call = result.call { members.append(.init("call", self.call(call))) }
        if !result.failedHosts.isEmpty {
            members.append(
                .init(
                    "failed_hosts",
                    .array(
                        result.failedHosts.map {
                            .object([.init("host_id", .string($0.hostID)), .init("error", error($0.failure))])
                        })))
        }
        if let failure = result.failure { members.append(.init("error", error(failure))) }
        add("evidence", result.evidence)
        if let original = result.original {
            let position = Position(partition: result.position.partition, offset: original.offset)
            members.append(
                .init(
                    "original",
                    .object([
                        .init("id", .string(id(position, original.status))),
                        .init("status", .string(original.status.rawValue)),
                        .init("offset", .integer(original.offset)),
                    ])))
        }
        return .object(members)
    }

    private func request(_ result: StartResult) -> JSON {
        var members: [JSON.Member] = [
            .init("topic", .string(requestsTopic)), .init("partition", .integer(Int64(result.position.partition))),
            .init("offset", .integer(result.position.offset)),
        ]
        if let time = result.requestTimestamp { members.append(.init("timestamp", .string(time.description))) }
        return .object(members)
    }

    private func call(_ call: StartResult.CallSummary) -> JSON {
        var members: [JSON.Member] = [.init("id", .string(call.id))]
        if let status = call.httpStatus { members.append(.init("http_status", .integer(Int64(status)))) }
        if let id = call.requestID { members.append(.init("request_id", .string(id))) }
        members.append(.init("requests", .integer(Int64(call.requests))))
        members.append(.init("hosts", .integer(Int64(call.hosts))))
        members.append(.init("latency_ms", .integer(call.latency.milliseconds)))
        return .object(members)
    }

    /// The members of RFC 9457, plus the code, its category and whether sending the request again can help.
    private func error(_ failure: Failure) -> JSON {
        var members: [JSON.Member] = [
            .init("type", .string("urn:plugin-starter:error:\(failure.category.rawValue)")),
            .init("title", .string(failure.title)),
        ]
        if let status = failure.httpStatus { members.append(.init("status", .integer(Int64(status)))) }
        if let detail = failure.detail { members.append(.init("detail", .string(detail))) }
        members.append(.init("code", .string(failure.code)))
        members.append(.init("category", .string(failure.category.rawValue)))
        members.append(.init("retryable", .bool(failure.isRetryable)))
        return .object(members)
    }

    private func headers(_ result: StartResult) -> [Header] {
        let time = result.completedAt.description
        var headers = [
            Header("content-type", "application/json"), Header("ce_specversion", "1.0"),
            Header("ce_id", id(result.position, result.status)),
            Header("ce_source", "/plugin-starter/\(requestsTopic)"),
            Header("ce_type", "hss.plugin.start.\(result.status.rawValue).v1"), Header("ce_time", time),
        ]
        func add(_ name: String, _ value: String?) {
            if let value { headers.append(Header(name, value)) }
        }
        add("ce_subject", Self.attribute(result.fields.idempotencyKey))
        add("ce_correlationid", Self.attribute(result.fields.correlationID))
        add("ce_causationid", "\(requestsTopic)/\(result.position)")
        if let record = result.record { headers += result.fields.trace.headers(for: record) }
        headers.append(ledgerHeader(result))
        return headers
    }

    /// The text as the value of a CloudEvents attribute. Nil where it cannot be one, because it is empty or holds
    /// control characters or noncharacters (CloudEvents 1.0.2, "Type System"). The result's value has it all the same.
    package static func attribute(_ text: String?) -> String? {
        guard let text, !text.isEmpty else { return nil }
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        let isAllowed = text.unicodeScalars.allSatisfy {
            $0.properties.generalCategory != .control && !$0.properties.isNoncharacterCodePoint
        }
        return isAllowed ? text : nil
    }

    /// The header from which a ledger is restored.
    package func ledgerHeader(_ result: StartResult) -> Header {
        Header(LedgerEntry.header, LedgerEntry(result, topic: requestsTopic).text)
    }
}
