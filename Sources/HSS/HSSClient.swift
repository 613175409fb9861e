package import Core
package import HTTP

/// A client for the used part of the HSS API: StartPlugin, ListPluginStatus and ListPlugins (HSS API reference, "Plugin
/// management"). Calls and replies are matched by id, on the loop's thread. The client does not decide which calls may
/// be sent.
package final class HSSClient {
    package struct Target: Sendable {
        package var hss: Endpoint
        /// Needed only for a user's token.
        package var iam: Endpoint?
        /// The project name that a token is scoped to; defaults to the region's.
        package var projectName: String?

        package init(hss: Endpoint, iam: Endpoint? = nil, projectName: String? = nil) {
            self.hss = hss
            self.iam = iam
            self.projectName = projectName
        }
    }

    enum Operation {
        case start(StartCall)
        case status(StatusQuery)
        case plugins(PluginQuery)

        var id: CallID {
            switch self {
            case .start(let call): call.id
            case .status(let query): query.id
            case .plugins(let query): query.id
            }
        }

        var list: ReplyParser.List? {
            switch self {
            case .start: nil
            case .status: .hosts
            case .plugins: .plugins
            }
        }
    }

    private let target: Target
    private let http: HTTPClient
    private var credentials: Credentials
    private var tokens = TokenSource()
    private var redactor = Redactor()
    /// Sent operations by id, each with the token that it used.
    private var sent: [CallID: (operation: Operation, token: Secret?)] = [:]
    /// Operations that wait for a token, in order. After `until`, an operation is returned as not sent.
    private var waiting: [(operation: Operation, until: Uptime)] = []
    private let patience: Duration
    /// Ids of token requests count down from the highest id, which no call reaches.
    private var nextFetch = UInt64.max

    package init(_ target: Target, credentials: Credentials, http: HTTPClient.Configuration) throws(HTTPError) {
        self.target = target
        self.credentials = credentials
        patience = http.connectTimeout
        self.http = try HTTPClient(http)
        redactSecrets()
    }

    package var descriptor: Int32 { http.descriptor }
    package var inFlight: Int { sent.count + waiting.count }

    package var deadline: Uptime? {
        [http.deadline, tokens.deadline, waiting.first?.until].compactMap { $0 }.min()
    }

    /// The longest time from `start` until the server has the call: the time to connect, doubled if a token may be
    /// needed first.
    package var transit: Duration {
        if case .user = credentials.identity { patience * 2 } else { patience }
    }

    package func start(_ call: StartCall, now: Now) { begin(.start(call), now) }
    package func status(_ query: StatusQuery, now: Now) { begin(.status(query), now) }
    package func plugins(_ query: PluginQuery, now: Now) { begin(.plugins(query), now) }

    /// Whether a credential file changed since the last check.
    package func credentialsChanged(now: Now) -> Bool {
        guard credentials.refresh(now: now.uptime) else { return false }
        tokens.userChanged()
        redactSecrets()
        return true
    }

    private func redactSecrets() {
        switch credentials.identity {
        case .keys(let accessKey, let secretKey, let securityToken):
            redactor.add(accessKey)
            redactor.add(secretKey.reveal())
            if let securityToken { redactor.add(securityToken.reveal()) }
        case .user(_, let password, _): redactor.add(password.reveal())
        }
    }

    /// Cancels the calls of which nothing was sent yet. The next `turn` returns their replies.
    package func cancelUnsent(_ reason: String) { http.cancelUnsent(reason) }

    /// Serves the connections without waiting, and returns the complete replies.
    package func turn(now: Now) -> [(CallID, Reply)] {
        var replies: [(CallID, Reply)] = []
        for completion in http.turn(now: now.uptime) {
            if completion.id == tokens.fetch {
                tokenAnswered(completion, now, &replies)
                continue
            }
            guard let (operation, token) = sent.removeValue(forKey: completion.id) else { continue }
            var reply = ReplyParser.reply(completion, list: operation.list, redactor: redactor)
            if let token { judge(token, by: &reply) }
            replies.append((completion.id, reply))
        }
        if case .user = credentials.identity { fetchToken(isNeeded: !waiting.isEmpty, now) }
        while let first = waiting.first, first.until <= now.uptime {
            waiting.removeFirst()
            var reply = Reply()
            (reply.source, reply.transport) = (.iam, .notSent("no token from IAM within \(patience.seconds) s"))
            replies.append((first.operation.id, reply))
        }
        return replies
    }

    /// A token can become void before it expires. The call has used its slot, and is retried in a later one.
    private func judge(_ token: Secret, by reply: inout Reply) {
        if reply.httpStatus == 401 {
            guard tokens.refused(token) else { return }
            reply.transport = .tokenVoid(reply.errorMessage ?? "HTTP 401")
            reply.httpStatus = nil
        } else if reply.transport == nil {
            tokens.accepted(token)
        }
    }

    private func begin(_ operation: Operation, _ now: Now) {
        switch credentials.identity {
        case .keys: send(operation, token: nil, now)
        case .user:
            if let token = tokens.token(now.uptime) {
                send(operation, token: token, now)
            } else {
                waiting.append((operation, now.uptime + patience))
                fetchToken(isNeeded: true, now)
            }
        }
    }

    private func fetchToken(isNeeded: Bool, _ now: Now) {
        guard case .user(let name, let password, let domain) = credentials.identity,
            tokens.wantsFetch(isNeeded: isNeeded, now.uptime), let iam = target.iam
        else { return }
        tokens.fetching(nextFetch)
        http.send(
            TokenSource.request(
                iam, name: name, password: password, domain: domain, project: target.projectName ?? ""),
            id: nextFetch)
        nextFetch -= 1
    }

    private func tokenAnswered(_ completion: HTTPCompletion, _ now: Now, _ replies: inout [(CallID, Reply)]) {
        let refusal = tokens.answered(completion, redactor: redactor, now: now.uptime)
        if let token = tokens.token(now.uptime) { redactor.add(token.reveal()) }
        let held = waiting
        if let refusal {
            // A token that is still valid stays in use. Without one, the waiting calls are returned as not made.
            guard tokens.token(now.uptime) == nil else { return }
            waiting.removeAll()
            for (operation, _) in held { replies.append((operation.id, refusal)) }
            return
        }
        waiting.removeAll()
        for (operation, _) in held { begin(operation, now) }
    }

    private func send(_ operation: Operation, token: Secret?, _ now: Now) {
        sent[operation.id] = (operation, token)
        http.send(request(operation, token: token, now), id: operation.id)
    }

    // MARK: The request as it goes over the wire

    func request(_ operation: Operation, token: Secret?, _ now: Now) -> HTTPRequest {
        var message: Signer.Message
        switch operation {
        case .start(let call):
            message = Signer.Message(
                method: "POST", path: ["v5", call.projectID, "plugins", "attachments", "start"],
                query: call.enterpriseProjectID.map { [("enterprise_project_id", $0)] } ?? [],
                headers: headers(call.projectID), body: Self.body(call))
        case .status(let query):
            var parameters = query.enterpriseProjectID.map { [(name: "enterprise_project_id", value: $0)] } ?? []
            parameters += [
                ("plugin_code", query.pluginCode), ("offset", "\(query.offset)"), ("limit", "\(query.limit)"),
            ]
            parameters += query.hostIDs.map { ("host_ids", $0) }
            message = Signer.Message(
                method: "GET", path: ["v5", query.projectID, "plugins", "attachments"], query: parameters,
                headers: headers(query.projectID))
        case .plugins(let query):
            message = Signer.Message(
                method: "GET", path: ["v5", query.projectID, "plugins"],
                query: query.enterpriseProjectID.map { [("enterprise_project_id", $0)] } ?? [],
                headers: headers(query.projectID))
        }
        // Each segment is encoded separately, so that no text can become another segment, a query or a fragment.
        var url = target.hss.url
        for segment in message.path { url += "/" + Signer.percentEncode(segment) }
        if !message.query.isEmpty { url += "?" + Signer.canonicalQuery(message.query) }
        authenticate(&message, token: token, now)
        return HTTPRequest(
            method: message.method, url: url, headers: message.headers, body: message.body)
    }

    private func headers(_ project: String) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = [
            ("Content-Type", "application/json"), ("Host", target.hss.host),
        ]
        // A header value holds visible ASCII only. Any other project id appears only in the path.
        if project.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { headers.append(("X-Project-Id", project)) }
        return headers
    }

    private func authenticate(_ message: inout Signer.Message, token: Secret?, _ now: Now) {
        switch credentials.identity {
        case .user:
            if let token { message.headers.append(("X-Auth-Token", token.reveal())) }
        case .keys(let accessKey, let secretKey, let securityToken):
            let date = now.wall.basic
            message.headers.append(("X-Sdk-Date", date))
            if let securityToken { message.headers.append(("X-Security-Token", securityToken.reveal())) }
            let authorization = Signer.authorization(
                message, date: date, accessKey: accessKey, secretKey: secretKey.reveal())
            message.headers.append(("Authorization", authorization))
        }
    }

    private static func body(_ call: StartCall) -> [UInt8] {
        JSON.object([
            .init("plugin_code", .string(call.pluginCode)), .init("operate_all", .bool(call.operateAll)),
            .init("host_id_list", .array(call.operateAll ? [] : call.hostIDs.map(JSON.string))),
        ]).bytes
    }
}
