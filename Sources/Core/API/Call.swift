/// Names a call within one process; never used twice in it.
package typealias CallID = UInt64

/// One `StartPlugin` call, before it is signed: `POST /v5/{project_id}/plugins/attachments/start`.
package struct StartCall: Equatable, Sendable {
    package var id: CallID
    /// Any text; percent-encoded into one path segment when sent.
    package var projectID: String
    /// Nil is not sent; the API then takes the default enterprise project, `0`.
    package var enterpriseProjectID: String?
    package var pluginCode: String
    /// True wins over `hostIDs` at the API, so it is sent with an empty list.
    package var operateAll: Bool
    /// Without repeats; empty only with `operateAll`.
    package var hostIDs: [String]

    package init(
        id: CallID, projectID: String, enterpriseProjectID: String?, pluginCode: String, operateAll: Bool,
        hostIDs: [String]
    ) {
        self.id = id
        self.projectID = projectID
        self.enterpriseProjectID = enterpriseProjectID
        self.pluginCode = pluginCode
        self.operateAll = operateAll
        self.hostIDs = hostIDs
    }
}

/// One page of `ListPluginStatus`: `GET /v5/{project_id}/plugins/attachments`.
package struct StatusQuery: Equatable, Sendable {
    package var id: CallID
    package var projectID: String
    package var enterpriseProjectID: String?
    package var pluginCode: String
    /// Only these hosts; empty asks for all.
    package var hostIDs: [String]
    package var offset: Int
    /// Rows a page, 10 to 200.
    package var limit: Int

    package init(
        id: CallID, projectID: String, enterpriseProjectID: String?, pluginCode: String, hostIDs: [String],
        offset: Int, limit: Int
    ) {
        self.id = id
        self.projectID = projectID
        self.enterpriseProjectID = enterpriseProjectID
        self.pluginCode = pluginCode
        self.hostIDs = hostIDs
        self.offset = offset
        self.limit = limit
    }
}

/// What `ListPluginStatus` says of one host; the vendor's own words.
package struct HostStatus: Equatable, Sendable {
    package var hostID: String
    /// `not_installed`, `starting`, `running`, `offline` and so on.
    package var pluginStatus: String
    /// `not_installed`, `online`, `offline`, `install_failed`, `installing`.
    package var agentStatus: String

    package init(hostID: String, pluginStatus: String, agentStatus: String) {
        self.hostID = hostID
        self.pluginStatus = pluginStatus
        self.agentStatus = agentStatus
    }
}

/// What became of one HTTP call, before anything is concluded from it.
package struct Reply: Equatable, Sendable {
    /// Why there is no complete HTTP answer.
    package enum Transport: Equatable, Sendable {
        /// No connection was made: nothing can have had an effect (name not found, refused, TLS failed, connect timeout).
        case notSent(String)
        /// The request may have arrived: total timeout, reset, answer cut off.
        case lost(String)
        /// The answer was larger than the bound.
        case tooLarge(String)
        /// Refused, because a token that was good before is void; a new one is fetched.
        case tokenVoid(String)
    }

    /// Who answered: the API itself, or IAM when a token could not be had (then the call was not made).
    package enum Source: Equatable, Sendable { case hss, iam }

    package var source: Source = .hss
    /// Nil where `transport` says why.
    package var httpStatus: Int?
    package var transport: Transport?
    /// The vendor's code (`HSS.1001`, `APIGW.0308`), where the body had one.
    package var errorCode: String?
    /// The vendor's text, or the start of a body that was not JSON; at most 1 KiB, without control characters.
    package var errorMessage: String?
    /// The vendor's request id, from the body or `X-Request-Id`.
    package var requestID: String?
    /// From the first byte sent to the last byte received.
    package var latency: Duration = .zero
    /// The answer's `Date`.
    package var serverDate: Timestamp?
    /// `Retry-After`, where there is one.
    package var retryAfter: Duration?
    /// `X-Apig-RateLimit-user` (else `-api`), where there is one: calls a window, and the window.
    package var rateLimit: RateLimit?
    /// Rows of a ListPluginStatus answer, and how many there are in all.
    package var hosts: [HostStatus] = []
    package var totalHosts: Int = 0

    package init() {}

    /// Whether the call reached HSS, as far as can be known: it did not where there was no connection, or no token.
    package var mayHaveArrived: Bool {
        if case .notSent = transport { return false }
        return source == .hss
    }

    /// Whether the server looked at the credential before it gave this answer, where that is no refusal of the credential: a
    /// gateway that is overloaded or throttles may not.
    var acceptsCredential: Bool {
        guard transport == nil, source == .hss, let httpStatus else { return false }
        return httpStatus < 500 && httpStatus != 429
    }

    /// A 2xx answer; the body does not matter for a start.
    package var isSuccess: Bool { transport == nil && (httpStatus.map { (200..<300).contains($0) } ?? false) }
}

/// So many calls in any window of this length.
package struct RateLimit: Equatable, Sendable {
    package var calls: Int
    package var window: Duration

    package init(calls: Int, window: Duration) {
        self.calls = calls
        self.window = window
    }
}
