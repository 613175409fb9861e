internal import Core

/// Members of a result's value that repeat members of the request.
enum Field: String, CaseIterable, Sendable {
    case key = "idempotency_key"
    case project = "project_id"
    case enterpriseProject = "enterprise_project_id"
    case plugin = "plugin_code"
    case operateAll = "operate_all"
    case hosts = "host_id_list"
    case correlation = "correlation_id"
    case requestedBy = "requested_by"
    case reason

    /// Whether the worker leaves the member out when the result would be larger than its topic accepts.
    var mayBeLeftOut: Bool { [.hosts, .requestedBy, .reason].contains(self) }

    func value(in fields: RequestFields) -> JSON? {
        switch self {
        case .key: fields.idempotencyKey.map(JSON.string)
        case .project: fields.projectID.map(JSON.string)
        case .enterpriseProject: fields.enterpriseProjectID.map(JSON.string)
        case .plugin: fields.pluginCode.map(JSON.string)
        case .operateAll: fields.operateAll.map(JSON.bool)
        case .hosts: fields.hostIDs.isEmpty ? nil : .array(fields.hostIDs.map(JSON.string))
        case .correlation: fields.correlationID.map(JSON.string)
        case .requestedBy: fields.requestedBy.map(JSON.string)
        case .reason: fields.reason.map(JSON.string)
        }
    }
}

/// What the audit keeps of a request until it reads the result. It keeps marks of the texts instead of the texts. A
/// request takes about 400 bytes and its key.
struct RequestFacts: Sendable {
    var timestamp: Timestamp?
    /// `Record.identity`. It distinguishes a result of this record from a result of an earlier record with the same
    /// offset.
    var identity: Fingerprint
    /// The key for display; nil if none could be read.
    var key: String?
    /// Length of the record's value in bytes.
    var size: Int
    var hasExpiry = false
    /// Nil if the request is not valid.
    var scopedKey: ScopedKey?
    var action: TextDigest?
    /// The offset of the request that this one sends again.
    var redrives: Int64?
    /// The digest of each field, in the order of `Field.allCases`.
    var fields: [TextDigest?]
    var recordKey: TextDigest?
    /// What the result's headers of these names must hold, with and without `ce_`.
    var traceparent: TextDigest?
    var tracestate: TextDigest?

    var isValid: Bool { scopedKey != nil }

    init(_ record: Record, topic: String) {
        identity = record.identity(topic: topic)
        timestamp = record.timestamp
        size = record.value?.count ?? 0
        recordKey = record.key.map { TextDigest($0) }
        redrives = Redrive(record, topic: topic)?.offset
        let read: RequestFields
        switch Self.decoder.decode(record) {
        case .success(let request):
            read = request.fields
            scopedKey = ScopedKey(project: request.projectID, key: request.idempotencyKey)
            action = TextDigest(
                project: request.projectID, enterpriseProject: request.enterpriseProjectID, plugin: request.pluginCode,
                operateAll: request.operateAll, hosts: request.hostIDs)
            hasExpiry = request.expiresAt != nil
        case .failure(let rejection): read = rejection.fields
        }
        key = read.idempotencyKey
        fields = Field.allCases.map { $0.value(in: read).map { TextDigest($0) } }
        let trace = read.trace.headers(for: identity)
        traceparent = Self.digest("traceparent") { name in trace.first { $0.name == name }?.value }
        tracestate = Self.digest("tracestate") { name in trace.first { $0.name == name }?.value }
    }

    /// The digest of a header and of the same header with `ce_`; nil where there is neither.
    private static func digest(_ name: String, _ value: (String) -> [UInt8]?) -> TextDigest? {
        let (plain, attribute) = (value(name), value("ce_\(name)"))
        return plain == nil && attribute == nil ? nil : TextDigest((plain ?? []) + [0] + (attribute ?? []))
    }

    init(identity: Fingerprint, key: String?, size: Int, fields: [TextDigest?]) {
        self.identity = identity
        self.key = key
        self.size = size
        self.fields = fields
    }

    /// The audit knows neither the policy that the worker ran under nor its size limit, so it refuses nothing for
    /// either.
    private static let decoder = RequestDecoder(maximumBytes: .max, policy: .unrestricted)
}

extension RequestFacts {
    /// Whether the result was made for another record that had this offset before, because the topic was recreated or
    /// truncated. Both the header and the value must show this, because either could be altered alone. A header of
    /// version 1 names no record. The result must then be older than this record and have another key.
    func isAnotherRecords(_ result: ResultReading) -> Bool {
        guard result.requestTimestamp != timestamp else { return false }
        if let source = result.source { return source.record != identity }
        return timestamp.map { result.completedAt < $0 && result.key != key } ?? false
    }

    /// The differences between the result and the request, one sentence each.
    func disagreements(with result: ResultReading) -> [String] {
        var found: [String] = []
        let isUnread = result.status == .rejected && result.isRefusalOfSize
        if isUnread && !result.refusesSize(of: size) { found.append("error.detail has another size than \(size)") }
        for (field, digest) in zip(Field.allCases, fields) {
            let told = result.value[field.rawValue]
            // Neither has the field, or the worker left the field out.
            if told == nil && (digest == nil || isUnread || field.mayBeLeftOut) { continue }
            if isUnread || told.map({ TextDigest($0) }) != digest {
                found.append("\(field.rawValue) differs from the request")
            }
        }
        let expectedKey = isUnread || self.fields.first == .some(nil) ? recordKey : key.map { TextDigest($0) }
        // A request without a key gets the result's id as record key. Results of older workers have no record key.
        let isItsID = expectedKey == nil && result.recordKey.map { $0.elementsEqual(result.id.utf8) } ?? true
        if !isItsID && result.recordKey.map({ TextDigest($0) }) != expectedKey {
            found.append("the record's key differs from the request")
        }
        for (name, digest) in [("traceparent", traceparent), ("tracestate", tracestate)] where !isUnread {
            if Self.digest(name, { result.header($0).map { Array($0.utf8) } }) != digest {
                found.append("\(name) differs from the request")
            }
        }
        if result.requestTimestamp != timestamp { found.append("request.timestamp differs from the request") }
        return found + verdict(result, isUnread)
    }

    /// Checks whether the status is possible at all for such a request.
    private func verdict(_ result: ResultReading, _ isUnread: Bool) -> [String] {
        if result.status == .rejected {
            let isPolicy = result.category == "policy"
            if isPolicy && !isValid { return ["rejected by policy, but the request is not valid"] }
            if !isPolicy && isValid && !isUnread { return ["rejected as invalid, but the request is valid"] }
            return []
        }
        if !isValid { return ["the request is not valid, but was not rejected"] }
        if result.status == .expired && !hasExpiry { return ["expired, but the request has no expiry time"] }
        return []
    }
}
