internal import Core
internal import HTTP

/// The sandbox's whole state and its answers. It handles one call at a time, under the server's lock.
struct SandboxState {
    let configuration: Sandbox.Configuration
    var quota: RateLimit?
    var faults: [Fault]
    private var seen: [Int]
    private var generator: SplitMix64
    private(set) var journal = Journal()
    /// Since when each host's plugin has been running, and how often it was started. The key is project, plugin and
    /// host.
    var started: [[String]: (at: Timestamp, count: Int)] = [:]
    private var failuresInARow = 0
    private var lockedUntil: Timestamp?
    private(set) var lockouts = 0
    private var recent: [String: [Timestamp]] = [:]
    var tokens: [String: Timestamp] = [:]
    var number = 0

    init(_ configuration: Sandbox.Configuration) {
        self.configuration = configuration
        quota = configuration.quota
        faults = configuration.faults
        seen = Array(repeating: 0, count: configuration.faults.count)
        generator = SplitMix64(seed: configuration.seed)
    }

    mutating func set(faults: [Fault]) {
        self.faults = faults
        seen = Array(repeating: 0, count: faults.count)
    }

    mutating func clearJournal() { journal.clear() }

    mutating func answer(_ request: ServerRequest, now: Timestamp) -> ServerAction {
        number += 1
        let segments = request.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map {
            String(decoding: SignatureCheck.decode($0), as: UTF8.self)
        }
        var entry = Journal.Entry(number: number, arrived: now, api: "other", target: request.target)
        entry.requestID = "sandbox-\(number)"
        entry.worker = Self.worker(request)
        let action: ServerAction
        switch (request.method, segments.count, segments.first) {
        case ("POST", 3, "v3") where segments[1...] == ["auth", "tokens"]:
            entry.api = "token"
            action = guarded(request, &entry, now) { $0.token(request, now) }
        case ("POST", 5, "v5") where segments[2...] == ["plugins", "attachments", "start"]:
            entry.api = "start"
            entry.project = segments[1]
            read(request, into: &entry)
            let known = entry
            action = guarded(request, &entry, now) { $0.start(known, now) }
        case ("GET", 4, "v5") where segments[2...] == ["plugins", "attachments"]:
            entry.api = "status"
            entry.project = segments[1]
            action = guarded(request, &entry, now) { $0.status(request, project: segments[1], now) }
        case ("GET", 3, "v5") where segments[2] == "plugins":
            entry.api = "plugins"
            entry.project = segments[1]
            action = guarded(request, &entry, now) { _ in (200, Self.plugins, nil, []) }
        default:
            action = .respond(
                response((404, Self.error("APIGW.0101", "The API does not exist."), "APIGW.0101", []), &entry, now))
        }
        journal.append(entry)
        return action
    }

    /// The status, the body, the code in the body, and further headers.
    typealias Answer = (status: Int, body: JSON?, code: String?, headers: [(name: String, value: String)])

    /// The checks before every API: authentication, quota and the requested faults.
    private mutating func guarded(
        _ request: ServerRequest, _ entry: inout Journal.Entry, _ now: Timestamp, _ body: (inout SandboxState) -> Answer
    ) -> ServerAction {
        if entry.api != "token" {
            if let refusal = authenticate(request, &entry, now) { return later(response(refusal, &entry, now), .zero) }
            if let refusal = throttle(entry.api, now) { return later(response(refusal, &entry, now), .zero) }
        }
        for index in faults.indices {
            guard
                faults[index].strikes(
                    api: entry.api, project: entry.project, plugin: entry.plugin, hosts: entry.hosts,
                    seen: &seen[index], using: &generator)
            else { continue }
            entry.fault = true
            switch faults[index].kind {
            case .status(let status):
                let code = status == 429 ? "APIGW.0308" : status == 401 ? "APIGW.0301" : nil
                let text = status == 429 ? Self.throttleText(quota) : "A fault on demand."
                return later(response((status, Self.error(code, text), code, []), &entry, now), .zero)
            case .code(let code):
                return later(response((400, Self.error(code, "A fault on demand."), code, []), &entry, now), .zero)
            case .html:
                entry.status = 502
                let page = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"
                return later(
                    ServerResponse(status: 502, headers: [("Content-Type", "text/html")], body: Array(page.utf8)), .zero
                )
            case .echo: return later(Self.echo(request), .zero)
            case .slow(let time):
                let answer = body(&self)
                return later(response(answer, &entry, now), time)
            case .hang: return .hang
            case .reset: return .reset
            case .lost:
                entry.status = body(&self).status
                return .reset
            }
        }
        // This line is separate from the next, because within the next line all of this state would be copied.
        let answer = body(&self)
        return later(response(answer, &entry, now), .zero)
    }

    private static func echo(_ request: ServerRequest) -> ServerResponse {
        let headers = request.headers.map { "\($0.name): \($0.value)" }.joined(separator: "; ")
        let key = request.header("authorization")?.split(separator: ",").first?.split(separator: "=").last
        let body = String(decoding: request.body, as: UTF8.self)
        return ServerResponse(
            status: 400,
            headers: [("X-Request-Id", request.header("x-security-token") ?? request.header("x-auth-token") ?? "")],
            body: error("ECHO." + (key ?? ""), "refused: \(headers); \(body)").bytes)
    }

    private func later(_ response: ServerResponse, _ time: Duration) -> ServerAction {
        let total = configuration.latency + time
        return total > .zero ? .respondLater(response, after: total) : .respond(response)
    }

    private func response(_ answer: Answer, _ entry: inout Journal.Entry, _ now: Timestamp) -> ServerResponse {
        entry.status = answer.status
        entry.code = answer.code
        var headers =
            [(name: "X-Request-Id", value: entry.requestID), (name: "Date", value: now.httpDate)] + answer.headers
        if answer.body != nil { headers.append(("Content-Type", "application/json")) }
        var body = answer.body
        if case .object(let members)? = body, answer.code != nil {
            body = .object(members + [.init("request_id", .string(entry.requestID))])
        }
        return ServerResponse(status: answer.status, headers: headers, body: body?.bytes ?? [])
    }

    static func error(_ code: String?, _ text: String) -> JSON {
        .object((code.map { [.init("error_code", .string($0))] } ?? []) + [.init("error_msg", .string(text))])
    }

    // MARK: Authentication and quota

    private mutating func authenticate(_ request: ServerRequest, _ entry: inout Journal.Entry, _ now: Timestamp)
        -> Answer?
    {
        if let token = request.header("x-auth-token") {
            entry.user = configuration.user
            guard let until = tokens[token], now < until else {
                return (401, Self.error("APIGW.0307", "The token must be updated."), "APIGW.0307", [])
            }
            return nil
        }
        entry.user = configuration.accessKey
        if let until = lockedUntil {
            if now < until {
                return (
                    401, Self.error("APIGW.0301", "The access key is locked after too many failures."), "APIGW.0301", []
                )
            }
            lockedUntil = nil
            failuresInARow = 0
        }
        let check = SignatureCheck(
            accessKey: configuration.accessKey, secretKey: configuration.secretKey,
            maximumClockSkew: configuration.maximumClockSkew)
        switch check.check(request, now: now) {
        case .accepted:
            failuresInARow = 0
            return nil
        case .refused(let text):
            failuresInARow += 1
            if failuresInARow > 5 {
                lockedUntil = now + .seconds(300)
                lockouts += 1
            }
            return (401, Self.error("APIGW.0301", text), "APIGW.0301", [])
        }
    }

    private mutating func throttle(_ api: String, _ now: Timestamp) -> Answer? {
        guard let quota else { return nil }
        var times = (recent[api] ?? []).filter { now - $0 < quota.window }
        defer { recent[api] = times }
        if times.count >= quota.calls {
            return (429, Self.error("APIGW.0308", Self.throttleText(quota)), "APIGW.0308", [])
        }
        times.append(now)
        return nil
    }

    private static func throttleText(_ quota: RateLimit?) -> String {
        let quota = quota ?? RateLimit(calls: 5, window: .seconds(60))
        let seconds = max(1, Int(quota.window.seconds.rounded(.up)))
        let time = seconds % 60 == 0 ? "\(seconds / 60) minute" : "\(seconds) second"
        return "The throttling threshold has been reached: policy user over ratelimit,limit:\(quota.calls),time:\(time)"
    }

    // MARK: Reports for tests

    var summary: JSON {
        var calls: [String: Int64] = [:]
        for entry in journal.entries { calls["\(entry.api) \(entry.status)", default: 0] += 1 }
        let starts = journal.entries.filter { $0.api == "start" }
        return .object([
            .init(
                "calls", .object(calls.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) })),
            .init("start_calls", .integer(Int64(starts.count))),
            .init("start_calls_accepted", .integer(Int64(starts.filter { $0.status == 200 }.count))),
            .init("hosts_started", .integer(Int64(started.count))),
            .init("hosts_started_again", .integer(Int64(started.values.filter { $0.count > 1 }.count))),
            .init(
                "most_starts_in_window",
                .integer(Int64(journal.mostInWindow(configuration.quota?.window ?? .seconds(60), api: "start")))),
            .init("lockouts", .integer(Int64(lockouts))), .init("journal_dropped", .integer(Int64(journal.dropped))),
        ])
    }
}
