internal import Core

/// Members of a result's value that repeat its request's.
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

    /// Left out where the result would be larger than its topic takes.
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

/// What is kept of a request until its result is met: marks of its texts, not the texts; some 400 bytes and the key.
struct RequestFacts: Sendable {
    var timestamp: Timestamp?
    /// `Record.identity`: tells whether a result is this record's or that of one that had its offset before.
    var identity: Fingerprint
    /// For people; nil where none could be read.
    var key: String?
    /// Length of the record's value in bytes.
    var size: Int
    var hasExpiry = false
    /// Nil where the request is not valid.
    var scopedKey: ScopedKey?
    var action: Mark?
    /// Of each field, in the order of `Field.allCases`.
    var fields: [Mark?]
    var recordKey: Mark?
    var traceparent: Mark?
    var tracestate: Mark?

    var isValid: Bool { scopedKey != nil }

    init(_ record: Record, topic: String) {
        identity = record.identity(topic: topic)
        timestamp = record.timestamp
        size = record.value?.count ?? 0
        recordKey = record.key.map { Mark($0) }
        let read: RequestFields
        switch Self.decoder.decode(record) {
        case .success(let request):
            read = request.fields
            scopedKey = ScopedKey(project: request.projectID, key: request.idempotencyKey)
            action = Mark(
                project: request.projectID, enterpriseProject: request.enterpriseProjectID, plugin: request.pluginCode,
                operateAll: request.operateAll, hosts: request.hostIDs)
            hasExpiry = request.expiresAt != nil
        case .failure(let rejection): read = rejection.fields
        }
        key = read.idempotencyKey
        fields = Field.allCases.map { $0.value(in: read).map { Mark($0) } }
        traceparent = read.traceparent.map { Mark($0) }
        tracestate = read.tracestate.map { Mark($0) }
    }

    init(identity: Fingerprint, key: String?, size: Int, fields: [Mark?]) {
        self.identity = identity
        self.key = key
        self.size = size
        self.fields = fields
    }

    /// The policy that the worker ran under is not known here, nor its size limit: nothing is refused for either.
    private static let decoder: RequestDecoder = {
        var policy = Policy()
        policy.allowOperateAll = true
        policy.allowAllGrantedEnterpriseProjects = true
        return RequestDecoder(maximumBytes: .max, policy: policy)
    }()
}

extension RequestFacts {
    /// Whether the result was made for another record, which had this offset before: the topic was created again or truncated.
    /// Both its header and its value must say so, since either could be altered alone. A header of version 1 names no record;
    /// then the result must be older than this one.
    func isAnotherRecords(_ result: ResultReading) -> Bool {
        guard result.requestTimestamp != timestamp else { return false }
        if let source = result.source { return source.record != identity }
        return timestamp.map { result.completedAt < $0 && result.key != key } ?? false
    }

    /// Where the result says something else than the request; each a sentence.
    func disagreements(with result: ResultReading) -> [String] {
        var found: [String] = []
        let isUnread = result.status == .rejected && result.isRefusalOfSize
        if isUnread && !result.refusesSize(of: size) { found.append("the request has \(size) bytes") }
        for (field, mark) in zip(Field.allCases, fields) {
            let told = result.value[field.rawValue]
            // Neither of them, or what was left out.
            if told == nil && (mark == nil || isUnread || field.mayBeLeftOut) { continue }
            if isUnread || told.map({ Mark($0) }) != mark { found.append("\(field.rawValue) is not the request's") }
        }
        let expectedKey = isUnread || self.fields.first == .some(nil) ? recordKey : key.map { Mark($0) }
        // Where there is none the result has its id; results of older workers have none.
        let isItsID = expectedKey == nil && result.recordKey.map { $0.elementsEqual(result.id.utf8) } ?? true
        if !isItsID && result.recordKey.map({ Mark($0) }) != expectedKey {
            found.append("the record's key is not the request's")
        }
        for (name, mark) in [("traceparent", traceparent), ("tracestate", tracestate)] where !isUnread {
            if result.header(name).map({ Mark($0) }) != mark { found.append("\(name) is not the request's") }
        }
        if result.requestTimestamp != timestamp { found.append("request.timestamp is not the request's") }
        return found + verdict(result, isUnread)
    }

    /// Whether the status can be the answer to such a request at all.
    private func verdict(_ result: ResultReading, _ isUnread: Bool) -> [String] {
        if result.status == .rejected {
            let isPolicy = result.category == "policy"
            if isPolicy && !isValid { return ["it was refused by policy, and is not valid"] }
            if !isPolicy && isValid && !isUnread { return ["it was refused as invalid, and is valid"] }
            return []
        }
        if !isValid { return ["it is not valid, and was not rejected"] }
        if result.status == .expired && !hasExpiry { return ["it expired, and has no time to expire at"] }
        return []
    }
}
