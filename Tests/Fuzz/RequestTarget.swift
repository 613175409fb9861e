@testable import Core
@testable import HSS
@testable import HTTP

/// Checks a record with headers, from its bytes to its result. Each header is a line `name: value`; without a colon the
/// value is null.
@Sendable func checkRequest(_ bytes: [UInt8]) throws {
    let input = HeadAndBody(bytes)
    let record = Record(
        position: Position(partition: 3, offset: 7), timestamp: Timestamp(milliseconds: 1_767_225_600_000),
        key: Array("key".utf8), value: input.body,
        headers: input.lines.map { line in
            let parts = line.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(decoding: parts[0], as: UTF8.self)
            return Header(name, parts.count == 2 ? Array(parts[1].drop { $0 == 0x20 }) : nil)
        })
    var policy = Policy()
    (policy.allowOperateAll, policy.allowAllGrantedEnterpriseProjects) = (true, true)
    let decoded = RequestDecoder(maximumBytes: 2048, policy: policy).decode(record)
    try hold(RequestDecoder(maximumBytes: 2048, policy: policy).decode(record) == decoded, "decoding is deterministic")
    switch decoded {
    case .success(let request): try check(request)
    case .failure(let rejection): try check(rejection, .invalid)
    }
    (policy.allowOperateAll, policy.allowAllGrantedEnterpriseProjects) = (false, false)
    (policy.projects, policy.plugins, policy.maximumHosts) = (["p", "0123456789abcdef0123456789abcdef"], ["ndr"], 2)
    switch (decoded, RequestDecoder(maximumBytes: 2048, policy: policy).decode(record)) {
    case (.success(let request), .success(let allowed)): try hold(request == allowed, "a policy changes no request")
    case (.success, .failure(let rejection)): try check(rejection, .policy)
    case (.failure(let one), .failure(let other)): try hold(one == other, "no policy makes a request valid")
    case (.failure, .success): throw Broken(description: "a policy makes nothing valid")
    }
    try follow(record, decoded)
}

private func check(_ request: StartRequest) throws {
    func measure(_ text: String?, _ length: ClosedRange<Int>, _ name: String) throws {
        try hold(text.map { length.contains($0.unicodeScalars.count) } ?? true, "\(name) keeps its length")
    }
    let fields = request.fields
    try measure(request.idempotencyKey, 1...256, "idempotency_key")
    try measure(request.projectID, 1...256, "project_id")
    try measure(request.enterpriseProjectID, 1...256, "enterprise_project_id")
    try measure(request.pluginCode, 1...64, "plugin_code")
    try measure(fields.correlationID, 0...256, "correlation_id")
    try measure(fields.requestedBy, 0...256, "requested_by")
    try measure(fields.reason, 0...1024, "reason")
    for host in request.hostIDs { try measure(host, 1...128, "a host") }
    try hold(Set(request.hostIDs.map(ExactText.init)).count == request.hostIDs.count, "no host appears twice")
    try hold(request.hostIDs.isEmpty == request.operateAll, "a request has either hosts or operate_all")
    try hold(
        fields.idempotencyKey == request.idempotencyKey && fields.projectID == request.projectID
            && fields.pluginCode == request.pluginCode && fields.hostIDs == request.hostIDs
            && fields.enterpriseProjectID == request.enterpriseProjectID && fields.operateAll == request.operateAll,
        "the result repeats what the request asks for")
    let turned = Fingerprint(
        ofActionIn: request.projectID, request.enterpriseProjectID, request.pluginCode,
        operateAll: request.operateAll, request.hostIDs.reversed())
    try hold(turned == request.fingerprint, "the order of hosts makes no other action")
    // Project and key share a hash. The border between them must not move.
    let one = Fingerprint(scoping: request.idempotencyKey, to: "\(request.projectID)\0x")
    let other = Fingerprint(scoping: "x\0\(request.idempotencyKey)", to: request.projectID)
    try hold(one != other, "another project's key is another key")
}

private func check(_ rejection: Rejection, _ category: Rejection.Category) throws {
    try hold(rejection.category == category, "a rejection is \(category)")
    try hold(!rejection.field.isEmpty && !rejection.rule.isEmpty, "a rejection names field and rule")
    try hold(rejection.message.utf8.count <= 512, "a rejection message is bounded")
}

/// Follows a record through its whole life. It gets one readable result, and its offset is stored only after that.
private func follow(_ record: Record, _ decoded: Result<StartRequest, Rejection>) throws {
    let now = Now(uptime: Uptime(.seconds(100)), wall: Timestamp(milliseconds: 1_767_225_600_000))
    var configuration = Pipeline.Configuration(quota: nil)
    configuration.maximumRequestBytes = 2048
    (configuration.policy.allowOperateAll, configuration.policy.allowAllGrantedEnterpriseProjects) = (true, true)
    var pipeline = Pipeline(configuration)
    _ = pipeline.handle(.assigned(3, Ledger()), now: now)
    var effects = pipeline.handle(.received([record]), now: now)
    for effect in effects {
        guard case .call(let call) = effect, case .success(let request) = decoded else { continue }
        try check(call, request, now)
        var reply = Reply()
        reply.httpStatus = 200
        effects += pipeline.handle(.answered(call.id, reply), now: now)
    }
    let results = effects.compactMap { effect -> (RequestID, StartResult)? in
        if case .publish(let id, let result, _) = effect { (id, result) } else { nil }
    }
    try hold(results.count == 1, "one record has one result")
    for (id, result) in results {
        try check(result)
        switch decoded {
        case .success: try hold([.succeeded, .expired].contains(result.status), "a valid request is called")
        case .failure: try hold(result.status == .rejected, "an invalid one is rejected")
        }
        let after = pipeline.handle(.published(id), now: now)
        try hold(after.contains(.store(partition: 3, offset: 8)) && pipeline.openCount == 0, "its offset is done")
    }
}

/// Checks that no text of a request leaves its place in the path, the query or the headers.
private func check(_ call: StartCall, _ request: StartRequest, _ now: Now) throws {
    let client = try HSSClient(
        .init(hss: try need(Endpoint(url: "https://hss.example"), "an endpoint")),
        credentials: Credentials(environment: ["HUAWEICLOUD_SDK_AK": "ak", "HUAWEICLOUD_SDK_SK": "sk"]), http: .init())
    let sent = client.request(.start(call), token: nil, now)
    let parts = sent.url.split(separator: "?", maxSplits: 1)
    let path = parts[0].split(separator: "/", omittingEmptySubsequences: false)
    try hold(
        path.count == 8 && path[3] == "v5" && path[5...].elementsEqual(["plugins", "attachments", "start"]),
        "no project changes the path: \(sent.url)")
    try hold(
        path[4] != "." && path[4] != ".." && !path[4].contains("%2F") && !path[4].contains("%5C"),
        "no project is a path segment of its own")
    for part in [path[4]] + (parts.count == 2 ? parts[1].split(separator: "=") : []) {
        try hold(
            part.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                    || "-_.~%".utf8.contains($0)
            }, "the encoded URL has no special characters: \(sent.url)")
    }
    for header in sent.headers { try hold(!header.value.holdsControls, "no header contains another") }
    let body = try JSON(parsing: sent.body)
    try hold(
        body["plugin_code"]?.string == request.pluginCode && body["operate_all"]?.bool == request.operateAll
            && body["host_id_list"]?.array?.compactMap(\.string) == request.hostIDs, "the body asks for what was asked")
}

/// Checks what readers need from a result's record: JSON, and a header from which a restore reads the same result.
func check(_ result: StartResult) throws {
    let record = ResultWriter(requestsTopic: "topic").record(result)
    let value = try JSON(parsing: record.value)
    try hold(value["status"]?.string == result.status.rawValue && value.bytes == record.value, "a result is JSON")
    let stored = Record(
        position: Position(partition: record.partition, offset: 0), timestamp: nil, key: record.key,
        value: record.value,
        headers: record.headers)
    for name in ["traceparent", "ce_traceparent"] {
        let text = stored.header(name)
        try hold(text.map { TraceParent($0)?.description == $0 } ?? true, "\(name) of a result is valid")
    }
    for header in record.headers where header.name.hasPrefix("ce_") && header.name != "ce_tracestate" {
        try hold(!(stored.header(header.name) ?? "").holdsControls, "\(header.name) is text that CloudEvents allows")
    }
    let entry = try need(LedgerEntry(stored), "a restore reads the result")
    try hold(entry == LedgerEntry(result, topic: "topic"), "a restore reads what was written")
    var ledger = Ledger(topic: "topic")
    ledger.restore(entry)
    try hold(ledger.answeredCount(below: result.position.offset + 1) == 1, "a restored request has its answer")
}
