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
    private var started: [[String]: (at: Timestamp, count: Int)] = [:]
    private var failuresInARow = 0
    private var lockedUntil: Timestamp?
    private(set) var lockouts = 0
    private var recent: [String: [Timestamp]] = [:]
    private var tokens: [String: Timestamp] = [:]
    private var number = 0

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

    private static func error(_ code: String?, _ text: String) -> JSON {
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

    // MARK: The APIs

    private static func worker(_ request: ServerRequest) -> String {
        let (agent, product) = (request.header("user-agent") ?? "", "plugin-starter/")
        return agent.hasPrefix(product) ? String(agent.dropFirst(product.count)) : ""
    }

    private func read(_ request: ServerRequest, into entry: inout Journal.Entry) {
        entry.enterpriseProject = Self.query(request)["enterprise_project_id"]?.first
        guard let json = try? JSON(parsing: request.body) else { return }
        entry.plugin = json["plugin_code"]?.string ?? ""
        entry.operateAll = json["operate_all"]?.bool ?? false
        entry.hosts = (json["host_id_list"]?.array ?? []).compactMap(\.string)
    }

    private mutating func start(_ entry: Journal.Entry, _ now: Timestamp) -> Answer {
        guard !entry.plugin.isEmpty else {
            return (400, Self.error("HSS.0001", "Invalid parameter: plugin_code."), "HSS.0001", [])
        }
        guard entry.operateAll || !entry.hosts.isEmpty else {
            return (400, Self.error("HSS.0001", "Invalid parameter: host_id_list."), "HSS.0001", [])
        }
        let hosts = entry.operateAll ? Array(configuration.hosts ?? []).sorted() : entry.hosts
        for host in hosts {
            if let refusal = HostKind(host, known: configuration.hosts).refusal {
                // One bad host causes HSS to refuse the whole call without doing anything.
                return (400, Self.error(refusal.code, refusal.text), refusal.code, [])
            }
        }
        for host in hosts {
            let key = [entry.project, entry.plugin, host]
            started[key] = (started[key]?.at ?? now, (started[key]?.count ?? 0) + 1)
        }
        return (200, nil, nil, [])
    }

    private func status(_ request: ServerRequest, project: String, _ now: Timestamp) -> Answer {
        let query = Self.query(request)
        guard let plugin = query["plugin_code"]?.first, !plugin.isEmpty else {
            return (400, Self.error("HSS.0001", "Invalid parameter: plugin_code."), "HSS.0001", [])
        }
        let offset = query["offset"]?.first.flatMap(Int.init) ?? 0
        let limit = query["limit"]?.first.flatMap(Int.init) ?? 10
        guard (0...2_000_000).contains(offset), (10...200).contains(limit) else {
            return (400, Self.error("HSS.0001", "Invalid parameter: offset or limit."), "HSS.0001", [])
        }
        let asked =
            query["host_ids"]
            ?? (Set(started.keys.filter { $0[0] == project && $0[1] == plugin }.map { $0[2] })
            .union(configuration.hosts ?? [])).sorted()
        let rows = asked.compactMap { row($0, project: project, plugin: plugin, now) }
        return (
            200,
            .object([
                .init("total_num", .integer(Int64(rows.count))),
                .init("data_list", .array(Array(rows.dropFirst(offset).prefix(limit)))),
            ]), nil, []
        )
    }

    private func row(_ host: String, project: String, plugin: String, _ now: Timestamp) -> JSON? {
        let start = started[[project, plugin, host]]
        let phase = start.map { now - $0.at < configuration.startDelay ? "starting" : "running" }
        guard let (pluginStatus, agentStatus) = HostKind(host, known: configuration.hosts).states(started: phase) else {
            return nil
        }
        return .object([
            .init("host_id", .string(host)), .init("host_name", .string(host)), .init("host_status", .string("ACTIVE")),
            .init("agent_status", .string(agentStatus)), .init("plugin_status", .string(pluginStatus)),
        ])
    }

    private mutating func token(_ request: ServerRequest, _ now: Timestamp) -> Answer {
        let json = try? JSON(parsing: request.body)
        let user = json?["auth"]?["identity"]?["password"]?["user"]
        guard user?["name"]?.string == configuration.user, user?["password"]?.string == configuration.password.reveal(),
            user?["domain"]?["name"]?.string == configuration.domain
        else {
            return (
                401,
                .object([
                    .init(
                        "error",
                        .object([
                            .init("code", .integer(401)),
                            .init("message", .string("The username or password is wrong.")),
                            .init("title", .string("Unauthorized")),
                        ]))
                ]), "401", []
            )
        }
        let token = "sandbox-token-\(tokens.count + 1)"
        let until = now + configuration.tokenLife
        tokens[token] = until
        return (
            201, .object([.init("token", .object([.init("expires_at", .string(until.description))]))]), nil,
            [("X-Subject-Token", token)]
        )
    }

    private static let plugins = JSON.object([
        .init("total_num", .integer(1)),
        .init(
            "data_list",
            .array([
                .object([
                    .init("code", .string("ndr")), .init("name", .string("ndr")), .init("display_mode", .integer(0)),
                ])
            ])),
    ])

    private static func query(_ request: ServerRequest) -> [String: [String]] {
        var found: [String: [String]] = [:]
        let parts = request.target.split(separator: "?", maxSplits: 1)
        guard parts.count == 2 else { return found }
        for parameter in parts[1].split(separator: "&") {
            let pair = parameter.split(separator: "=", maxSplits: 1).map {
                String(decoding: SignatureCheck.decode($0), as: UTF8.self)
            }
            if pair.count == 2 { found[pair[0], default: []].append(pair[1]) }
        }
        return found
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
