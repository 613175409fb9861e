/// What a failed call means. The meaning is decided once, here, from a table.
package struct Failure: Error, Equatable, Sendable {
    package enum Category: String, CaseIterable, Sendable {
        case invalid, policy, expired, throttled, transient, auth, host, request, unknown
    }

    /// What the worker does about it.
    package enum Disposition: String, Sendable {
        /// Tries again after a back-off, until the retry budget or `expires_at` ends it.
        case retry
        /// Makes no further attempt. The result is `failed`.
        case refuse
        /// Tries again after the quota's window. This costs no attempt.
        case wait
        /// Stops the calls on this credential, or those of one project, until it is accepted again. This costs no attempt.
        case stop
    }

    /// What can be the cause.
    package enum Scope: String, Sendable { case host, request, credential, service }

    package var category: Category
    package var disposition: Disposition
    package var scope: Scope
    /// The vendor's code, `HTTP nnn` where there is no code, or a code of this worker.
    package var code: String
    package var title: String
    package var httpStatus: Int?
    package var detail: String?
    /// Whether the call may have had its effect even though it failed.
    package var effectUnknown = false
    /// False where the code is not in the table.
    package var isKnown = true

    package init(
        category: Category, disposition: Disposition, scope: Scope, code: String, title: String,
        httpStatus: Int? = nil, detail: String? = nil
    ) {
        self.category = category
        self.disposition = disposition
        self.scope = scope
        self.code = code
        self.title = title
        self.httpStatus = httpStatus
        self.detail = detail
    }

    /// Whether sending the same request again can have another outcome.
    package var isRetryable: Bool { disposition != .refuse }

    /// One row of the table. The code is written as the vendor prints it, but gateway codes have no prefix.
    package struct Row: Sendable {
        package let code: String
        /// The row applies only to this status; nil matches any status.
        package let httpStatus: Int?
        package let category: Category
        package let disposition: Disposition
        package let scope: Scope
        package let title: String
    }

    /// The failure in a reply; nil for a success.
    package init?(_ reply: Reply) {
        if let transport = reply.transport {
            self.init(transport)
            if reply.source == .iam { isOfIAM() }
            return
        }
        guard let status = reply.httpStatus, !reply.isSuccess else { return nil }
        let row = reply.errorCode.flatMap { Self.row(code: $0, httpStatus: status) } ?? Self.row(httpStatus: status)
        self.init(
            category: row.category, disposition: row.disposition, scope: row.scope,
            code: reply.errorCode ?? "HTTP \(status)", title: row.title, httpStatus: status,
            detail: reply.errorMessage)
        isKnown = reply.errorCode.map { Self.row(code: $0, httpStatus: nil) != nil } ?? true
        effectUnknown = status == 502 || status == 504
        if reply.source == .iam { isOfIAM() }
    }

    /// Nothing was called. Whatever IAM answered, calls wait for a token, and no request fails.
    private mutating func isOfIAM() {
        effectUnknown = false
        (scope, disposition) = (.credential, .stop)
        if category != .transient && category != .throttled { category = .auth }
    }

    private init(_ transport: Reply.Transport) {
        switch transport {
        case .notSent(let text):
            self.init(
                category: .transient, disposition: .retry, scope: .service, code: "connection", title: "No connection",
                detail: text)
        case .lost(let text):
            self.init(
                category: .transient, disposition: .retry, scope: .service, code: "answer-lost",
                title: "No answer: the call may have taken effect", detail: text)
            effectUnknown = true
        case .tokenVoid(let text):
            self.init(
                category: .transient, disposition: .retry, scope: .service, code: "token-void",
                title: "The token is no longer valid: fetching a new one", detail: text)
        case .tooLarge(let text):
            self.init(
                category: .transient, disposition: .retry, scope: .service, code: "answer-too-large",
                title: "The answer is larger than the limit", detail: text)
            effectUnknown = true
        }
    }
}
