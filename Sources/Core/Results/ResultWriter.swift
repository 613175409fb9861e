/// A result as the record to produce: key, value, headers. It goes to the partition number of its request.
package struct ResultRecord: Equatable, Sendable {
    package var partition: Int32
    package var key: [UInt8]
    package var value: [UInt8]
    package var headers: [Header]
}

/// Writes results as binary-mode CloudEvents. The value is complete without the headers (the contract's "Result").
package struct ResultWriter: Sendable {
    package let requestsTopic: String
    private let source: Header

    package init(requestsTopic: String) {
        self.requestsTopic = requestsTopic
        source = Header("ce_source", "/plugin-starter/\(requestsTopic)")
    }

    /// The result's `ce_id`. It is built from the request's position and the status alone, so that a result that is
    /// published twice has the same id.
    package func id(_ position: Position, _ status: Status) -> String {
        "\(requestsTopic)/\(position.partition)/\(position.offset)/\(status.rawValue)"
    }

    package func record(_ result: StartResult) -> ResultRecord {
        let id = Array(id(result.position, result.status).utf8)
        let completedAt = result.completedAt.description
        let idempotencyKey = result.fields.idempotencyKey.map { Array($0.utf8) }
        return ResultRecord(
            partition: result.position.partition,
            // A compacted topic refuses a record without a key, and the whole batch with it.
            key: idempotencyKey ?? result.recordKey ?? id, value: value(result, completedAt),
            headers: headers(result, id, completedAt, idempotencyKey))
    }

    private func value(_ result: StartResult, _ completedAt: String) -> [UInt8] {
        let writer = JSONWriter { value in
            value.member("status", result.status.rawValue)
            write(result.fields, &value)
            value.member("request") {
                $0.member("topic", requestsTopic)
                $0.member("partition", Int64(result.position.partition))
                $0.member("offset", result.position.offset)
                $0.member("timestamp", result.requestTimestamp?.description)
            }
            value.member("completed_at", completedAt)
            value.member("attempts", Int64(result.attempts))
            if let call = result.call { value.member("call") { write(call, &$0) } }
            value.member("failed_hosts", result.failedHosts) { value, host in
                value.object {
                    $0.member("host_id", host.hostID)
                    $0.member("error") { write(host.failure, &$0) }
                }
            }
            if let failure = result.failure { value.member("error") { write(failure, &$0) } }
            value.member("evidence", result.evidence)
            if let original = result.original {
                let position = Position(partition: result.position.partition, offset: original.offset)
                value.member("original") {
                    $0.member("id", id(position, original.status))
                    $0.member("status", original.status.rawValue)
                    $0.member("offset", original.offset)
                }
            }
        }
        return writer.bytes
    }

    private func write(_ fields: RequestFields, _ value: inout JSONWriter) {
        value.member("idempotency_key", fields.idempotencyKey)
        value.member("project_id", fields.projectID)
        value.member("enterprise_project_id", fields.enterpriseProjectID)
        value.member("plugin_code", fields.pluginCode)
        value.member("operate_all", fields.operateAll)
        value.member("host_id_list", fields.hostIDs) { $0.text($1) }
        value.member("correlation_id", fields.correlationID)
        value.member("requested_by", fields.requestedBy)
        value.member("reason", fields.reason)
    }

    private func write(_ call: StartResult.CallSummary, _ value: inout JSONWriter) {
        value.member("id", call.id)
        value.member("http_status", call.httpStatus.map { Int64($0) })
        value.member("request_id", call.requestID)
        value.member("requests", Int64(call.requests))
        value.member("hosts", Int64(call.hosts))
        value.member("latency_ms", call.latency.milliseconds)
    }

    /// The members of RFC 9457, plus the code, its category and whether sending the request again can help.
    private func write(_ failure: Failure, _ value: inout JSONWriter) {
        value.member("type", "urn:plugin-starter:error:\(failure.category.rawValue)")
        value.member("title", failure.title)
        value.member("status", failure.httpStatus.map { Int64($0) })
        value.member("detail", failure.detail)
        value.member("code", failure.code)
        value.member("category", failure.category.rawValue)
        value.member("retryable", failure.isRetryable)
    }

    // Made once, because every result has them.
    private static let contentType = Header("content-type", "application/json")
    private static let version = Header("ce_specversion", "1.0")
    private static let types = Dictionary(
        uniqueKeysWithValues: Status.allCases.map { ($0, Header("ce_type", "hss.plugin.start.\($0.rawValue).v1")) })

    private func headers(
        _ result: StartResult, _ id: [UInt8], _ completedAt: String, _ idempotencyKey: [UInt8]?
    ) -> [Header] {
        var headers: [Header] = []
        headers.reserveCapacity(12)
        headers.append(Self.contentType)
        headers.append(Self.version)
        headers.append(Header("ce_id", id))
        headers.append(source)
        if let type = Self.types[result.status] { headers.append(type) }
        headers.append(Header("ce_time", completedAt))
        if let idempotencyKey, Self.attribute(result.fields.idempotencyKey) != nil {
            headers.append(Header("ce_subject", idempotencyKey))
        }
        func add(_ name: String, _ value: String?) {
            if let value { headers.append(Header(name, value)) }
        }
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
        Header(LedgerEntry.header, LedgerEntry(result, topic: requestsTopic).bytes)
    }
}
