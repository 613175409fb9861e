@testable import Core
@testable import HSS
@testable import HTTP

/// An answer, written as a line with the status, the head as it came over the wire, an empty line and the body.
private func completion(_ bytes: [UInt8]) -> HTTPCompletion {
    let input = HeadAndBody(bytes)
    var completion = HTTPCompletion(id: 1)
    let status = input.lines.first.flatMap { Int(String(decoding: $0, as: UTF8.self)) } ?? 400
    completion.status = (100...999).contains(status) ? status : 400
    completion.headers = HTTPTransfer.headers(Array(input.lines.dropFirst().joined(separator: [UInt8(ascii: "\n")])))
    completion.body = input.body
    return completion
}

private func check(_ reply: Reply) throws {
    for (text, bytes) in [(reply.errorCode, 64), (reply.errorMessage, 1024), (reply.requestID, 256)] {
        guard let text else { continue }
        try hold(text.utf8.count <= bytes, "the vendor's text is at most \(bytes) bytes")
        try hold(!text.holdsControls, "the vendor's text holds no control characters")
    }
    try hold(reply.errorCode != "", "a code is not empty")
    if let time = reply.retryAfter {
        try hold((.zero ... .seconds(900)).contains(time), "a wait of 15 minutes at most")
    }
    if let limit = reply.rateLimit {
        try hold((1...999_999).contains(limit.calls), "a limit of calls that can be held")
        try hold(limit.window >= .seconds(1) && limit.window <= .seconds(900), "a window of 15 minutes at most")
    }
    try hold(reply.hosts.count <= 200, "a page of rows at most")
    try hold((Failure(reply) == nil) == reply.isSuccess, "a failure, or a success")
}

/// Checks an answer that is read and then passed to a request that waits for it. The request ends, or knows when it
/// continues.
@Sendable func checkReply(_ bytes: [UInt8]) throws {
    let completion = completion(bytes)
    let reply = ReplyParser.reply(completion)
    try hold(ReplyParser.reply(completion) == reply, "reading twice gives the same result")
    try check(reply)
    let rows = ReplyParser.reply(completion, list: .hosts)
    try check(rows)
    if !reply.isSuccess { try hold(rows == reply, "a refusal is the same for every API") }

    var now = Now(uptime: Uptime(.seconds(100)), wall: Timestamp(milliseconds: 1_767_225_600_000))
    var pipeline = Pipeline(Pipeline.Configuration(quota: RateLimit(calls: 5, window: .seconds(60))))
    let value = #"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["h1","h2"]}"#
    let record = Record(
        position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: Array(value.utf8))
    var effects = pipeline.handle(.assigned(0, Ledger()), now: now)
    effects += pipeline.handle(.received([record]), now: now)
    for _ in 0..<24 {
        var next: [Effect] = []
        for effect in effects {
            switch effect {
            case .call(let call): next += pipeline.handle(.answered(call.id, reply), now: now)
            case .query(let query): next += pipeline.handle(.answered(query.id, rows), now: now)
            case .publish(let id, let result, _):
                try check(result)
                let record = ResultWriter(requestsTopic: "t").record(result)
                try hold(record.value.count <= 16 << 10, "a result of one request is bounded")
                next += pipeline.handle(.published(id), now: now)
            default: break
            }
        }
        effects = next
        if pipeline.openCount == 0 { return }
        guard effects.isEmpty else { continue }
        let deadline = try need(pipeline.deadline(now), "an open request has a deadline")
        let wait = max(.milliseconds(1), deadline - now.uptime)
        try hold(wait <= .seconds(2 * 86_400), "an open request has a deadline in time")
        now = Now(uptime: now.uptime + wait, wall: now.wall + wait)
        effects = pipeline.handle(.tick, now: now)
    }
}

/// Checks IAM's answer. It is a token that can be sent for a time, or a reason why there is none.
@Sendable func checkToken(_ bytes: [UInt8]) throws {
    let completion = completion(bytes)
    let now = Uptime(.seconds(1000))
    var source = TokenSource()
    source.fetching(1)
    let refusal = source.answered(completion, now: now)
    try hold(source.fetch == nil, "an answer ends the request for a token")
    guard let token = source.token(now) else {
        let reply = try need(refusal, "no token without a reason")
        try hold(Failure(reply)?.scope == .credential || reply.transport != nil, "the failure concerns the credential")
        try hold(
            source.wantsFetch(isNeeded: true, now) && !source.wantsFetch(isNeeded: false, now), "asked when needed")
        return
    }
    try hold(refusal == nil, "a token, or a refusal")
    try hold(!token.isEmpty && !token.reveal().holdsControls, "a token is valid in a header")
    try hold("\(token)" == "***", "a token is not printed")
    let renewal = try need(source.deadline, "a token is renewed")
    try hold(renewal > now && renewal <= now + .seconds(86_400), "a token is renewed within a day")
    try hold(source.token(renewal) != nil, "a token is renewed before it ends")
    try hold(source.wantsFetch(isNeeded: false, renewal), "a token is renewed in time")
    // A refusal of the next token leaves this one in place.
    source.fetching(1)
    _ = source.answered(HTTPCompletion(id: 1), now: now)
    try hold(source.token(now) == token, "a valid token stays in use")
}
