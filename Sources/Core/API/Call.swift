/// Identifies a call within one process. It is never reused.
package typealias CallID = UInt64

/// One `StartPlugin` call before signing: `POST /v5/{project_id}/plugins/attachments/start`.
package struct StartCall: Equatable, Sendable {
    package var id: CallID
    /// Any text. It is percent-encoded into one path segment when sent.
    package var projectID: String
    /// Nil is not sent. The API then uses the default enterprise project, `0`.
    package var enterpriseProjectID: String?
    package var pluginCode: String
    /// True overrides `hostIDs` at the API, so the call is sent with an empty list.
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
    /// Limits the query to these hosts; empty asks for all.
    package var hostIDs: [String]
    package var offset: Int
    /// Rows per page, 10 to 200.
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

/// A `ListPlugins` read: `GET /v5/{project_id}/plugins`.
package struct PluginQuery: Equatable, Sendable {
    package var id: CallID
    package var projectID: String
    package var enterpriseProjectID: String?

    package init(id: CallID, projectID: String, enterpriseProjectID: String? = nil) {
        self.id = id
        self.projectID = projectID
        self.enterpriseProjectID = enterpriseProjectID
    }
}

/// A plugin, as `ListPlugins` reports it.
package struct ListedPlugin: Equatable, Sendable {
    /// What may be done with the plugin (`display_mode`).
    package enum Display: Int64, Sendable { case allOperations, noInstallation, noOperation }

    package var code: String
    package var display: Display

    package init(code: String, display: Display = .allOperations) {
        self.code = code
        self.display = display
    }
}

/// The state of one host, as `ListPluginStatus` reports it in the vendor's own words.
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

/// The outcome of one HTTP call, before it is interpreted.
package struct Reply: Equatable, Sendable {
    /// Why there is no complete HTTP answer.
    package enum Transport: Equatable, Sendable {
        /// No connection was made, so the call had no effect (name not found, refused, TLS failed, connect timeout).
        case notSent(String)
        /// The request may have arrived: total timeout, reset, answer cut off.
        case lost(String)
        /// The answer was larger than the bound.
        case tooLarge(String)
        /// The call was refused because a token that was good before is void. A new token is fetched.
        case tokenVoid(String)
    }

    /// The source of the answer: the API itself, or IAM where no token could be obtained (then the call was not made).
    package enum Source: Equatable, Sendable { case hss, iam }

    package var source: Source = .hss
    /// Nil where `transport` gives the reason.
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
    /// `X-Apig-RateLimit-user` (or else `-api`), where there is one: the number of calls in a window, and the window.
    package var rateLimit: RateLimit?
    /// Rows of a ListPluginStatus answer, and the total number of rows.
    package var hosts: [HostStatus] = []
    package var totalHosts: Int = 0
    /// Rows of a ListPlugins answer, and the total number of rows.
    package var plugins: [ListedPlugin] = []
    package var totalPlugins: Int = 0

    package init() {}

    /// Whether the call may have reached HSS. It did not where there was no connection or no token.
    package var mayHaveArrived: Bool {
        if case .notSent = transport { return false }
        return source == .hss
    }

    /// Whether the server checked the credential before it answered. It is asked only of answers that do not refuse the
    /// credential. A gateway that is overloaded or throttles may answer without the check.
    var acceptsCredential: Bool {
        guard transport == nil, source == .hss, let httpStatus else { return false }
        return httpStatus < 500 && httpStatus != 429
    }

    /// A 2xx answer. The body does not matter for a start.
    package var isSuccess: Bool { transport == nil && (httpStatus.map { (200..<300).contains($0) } ?? false) }
}

/// The maximum number of calls in any window of this length.
package struct RateLimit: Equatable, Sendable {
    package var calls: Int
    package var window: Duration

    package init(calls: Int, window: Duration) {
        self.calls = calls
        self.window = window
    }
}
