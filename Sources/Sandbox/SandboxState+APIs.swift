internal import Core
internal import HTTP

/// The APIs that the sandbox serves.
extension SandboxState {
    static func worker(_ request: ServerRequest) -> String {
        let (agent, product) = (request.header("user-agent") ?? "", "plugin-starter/")
        return agent.hasPrefix(product) ? String(agent.dropFirst(product.count)) : ""
    }

    func read(_ request: ServerRequest, into entry: inout Journal.Entry) {
        entry.enterpriseProject = Self.query(request)["enterprise_project_id"]?.first
        guard let json = try? JSON(parsing: request.body) else { return }
        entry.plugin = json["plugin_code"]?.string ?? ""
        entry.operateAll = json["operate_all"]?.bool ?? false
        entry.hosts = (json["host_id_list"]?.array ?? []).compactMap(\.string)
    }

    mutating func start(_ entry: Journal.Entry, _ now: Timestamp) -> Answer {
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

    func status(_ request: ServerRequest, project: String, _ now: Timestamp) -> Answer {
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

    func row(_ host: String, project: String, plugin: String, _ now: Timestamp) -> JSON? {
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

    mutating func token(_ request: ServerRequest, _ now: Timestamp) -> Answer {
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

    static let plugins = JSON.object([
        .init("total_num", .integer(1)),
        .init(
            "data_list",
            .array([
                .object([
                    .init("code", .string("ndr")), .init("name", .string("ndr")), .init("display_mode", .integer(0)),
                ])
            ])),
    ])

    static func query(_ request: ServerRequest) -> [String: [String]] {
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
}
