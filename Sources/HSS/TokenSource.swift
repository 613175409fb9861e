internal import Core
internal import HTTP

/// The token of one user: fetched when it is first needed, renewed before it expires (IAM, "Obtaining a user token").
struct TokenSource {
    private enum State {
        case none
        case valid(Secret, renewAt: Duration, until: Duration)
    }

    private var state = State.none
    /// The request to IAM that is on its way, by the client's id.
    private(set) var fetch: UInt64?
    /// Whether HSS has taken the token: then a refusal of it says that it is void, and not that the user is refused.
    private(set) var isProven = false
    private var notBefore: Duration = .zero

    /// IAM has so long for its answer.
    static let timeout: Duration = .seconds(10)

    /// The token, where there is one that has not expired.
    func token(_ now: Duration) -> Secret? {
        if case .valid(let token, _, let until) = state, now < until { token } else { nil }
    }

    /// Whether a token is to be asked for, given whether a call waits for it.
    func wantsFetch(isNeeded: Bool, _ now: Duration) -> Bool {
        guard fetch == nil else { return false }
        if case .valid(_, let renewAt, let until) = state, now < until {
            return now >= max(renewAt, notBefore)
        }
        return isNeeded
    }

    var deadline: Duration? {
        if case .valid(_, let renewAt, _) = state, fetch == nil { max(renewAt, notBefore) } else { nil }
    }

    /// HSS answered a call with this token.
    mutating func accepted(_ token: Secret) {
        if case .valid(token, _, _) = state { isProven = true }
    }

    /// HSS refused this token. True where that says nothing of the user: the token was good before, or is not ours any more.
    mutating func refused(_ token: Secret) -> Bool {
        guard case .valid(token, _, _) = state else { return true }
        state = .none
        return isProven
    }

    /// The user is another one: what IAM still answers for the old one is not for us.
    mutating func userChanged() { self = TokenSource() }

    mutating func fetching(_ id: UInt64) { fetch = id }

    /// Takes IAM's answer; nil where it gave a token, else what it said.
    mutating func answered(_ completion: HTTPCompletion, redactor: Redactor = Redactor(), now: Duration) -> Reply? {
        fetch = nil
        var reply = ReplyParser.reply(completion, redactor: redactor)
        reply.source = .iam
        // It goes into a header, where anything but visible ASCII would say something else.
        guard reply.isSuccess, let token = completion.header("x-subject-token"), !token.isEmpty,
            token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            // A token that still holds goes on; the next try comes in a while.
            notBefore = now + .seconds(60)
            if reply.isSuccess {
                reply.transport = .notSent("IAM answered \(completion.status) without a token")
                reply.httpStatus = nil
            }
            return reply
        }
        let expires = (try? JSON(parsing: completion.body)).flatMap { $0["token"]?["expires_at"]?.string }
            .flatMap(Timestamp.init(rfc3339:))
        // By the server's clock, so that ours may be wrong; a token holds for a day, whatever the two times say.
        let day: Duration = .seconds(86_400)
        let life = min(day, max(.seconds(60), expires.flatMap { at in reply.serverDate.map { at - $0 } } ?? day))
        isProven = false
        state = .valid(Secret(token), renewAt: now + max(life - .seconds(1800), life / 2), until: now + life)
        return nil
    }

    static func request(_ endpoint: Endpoint, name: String, password: Secret, domain: String, project: String)
        -> HTTPRequest
    {
        let user = JSON.object([
            .init("name", .string(name)), .init("password", .string(password.reveal())),
            .init("domain", .object([.init("name", .string(domain))])),
        ])
        let identity = JSON.object([
            .init("methods", .array([.string("password")])), .init("password", .object([.init("user", user)])),
        ])
        let scope = JSON.object([.init("project", .object([.init("name", .string(project))]))])
        let body = JSON.object([
            .init("auth", .object([.init("identity", identity), .init("scope", scope)]))
        ])
        var request = HTTPRequest(
            method: "POST", url: endpoint.url + "/v3/auth/tokens?nocatalog=true",
            headers: [("Content-Type", "application/json;charset=utf8")], body: body.bytes)
        request.timeout = timeout
        return request
    }
}
