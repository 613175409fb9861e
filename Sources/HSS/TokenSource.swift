internal import Core
internal import HTTP

/// The token of one user. It is fetched when first needed and renewed before it expires (IAM, "Obtaining a user
/// token").
struct TokenSource {
    private enum State {
        case none
        case valid(Secret, renewAt: Uptime, until: Uptime)
    }

    private var state = State.none
    /// The client's id of the request to IAM that is in flight.
    private(set) var fetch: UInt64?
    /// Whether HSS has accepted the token. If so, a later refusal means that the token is void, and not that the user
    /// is refused.
    private(set) var isProven = false
    private var notBefore: Uptime = .zero

    /// How long IAM has to answer.
    static let timeout: Duration = .seconds(10)

    /// The token, if it has not expired.
    func token(_ now: Uptime) -> Secret? {
        if case .valid(let token, _, let until) = state, now < until { token } else { nil }
    }

    /// Whether to request a token. `isNeeded` means that a call waits for one.
    func wantsFetch(isNeeded: Bool, _ now: Uptime) -> Bool {
        guard fetch == nil else { return false }
        if case .valid(_, let renewAt, let until) = state, now < until {
            return now >= max(renewAt, notBefore)
        }
        return isNeeded
    }

    var deadline: Uptime? {
        if case .valid(_, let renewAt, _) = state, fetch == nil { max(renewAt, notBefore) } else { nil }
    }

    /// Records that HSS answered a call with this token.
    mutating func accepted(_ token: Secret) {
        if case .valid(token, _, _) = state { isProven = true }
    }

    /// Records that HSS refused this token. Returns true if the refusal means nothing about the user, because the token
    /// was valid before or is no longer the current one.
    mutating func refused(_ token: Secret) -> Bool {
        guard case .valid(token, _, _) = state else { return true }
        state = .none
        return isProven
    }

    /// Resets for a changed user. An answer of IAM for the old user no longer applies.
    mutating func userChanged() { self = TokenSource() }

    mutating func fetching(_ id: UInt64) { fetch = id }

    /// Takes IAM's answer. Returns nil if it contained a token, and otherwise the reply.
    mutating func answered(_ completion: HTTPCompletion, redactor: Redactor = Redactor(), now: Uptime) -> Reply? {
        fetch = nil
        var reply = ReplyParser.reply(completion, redactor: redactor)
        reply.source = .iam
        // The token goes into a header, where anything but visible ASCII would change the meaning.
        guard reply.isSuccess, let token = completion.header("x-subject-token"), !token.isEmpty,
            token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else {
            // A token that is still valid stays in use. The next attempt to renew it comes after 60 s.
            notBefore = now + .seconds(60)
            if reply.isSuccess {
                reply.transport = .notSent("IAM answered \(completion.status) without a token")
                reply.httpStatus = nil
            }
            return reply
        }
        let expires = (try? JSON(parsing: completion.body)).flatMap { $0["token"]?["expires_at"]?.string }
            .flatMap(Timestamp.init(rfc3339:))
        // Use the server's clock, because the local clock may be wrong. A token is valid for at most a day, whatever
        // the two times are.
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
