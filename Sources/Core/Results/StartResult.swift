/// The seven possible outcomes of a request.
package enum Status: String, CaseIterable, Sendable {
    case succeeded
    case partiallySucceeded = "partially_succeeded"
    case failed, rejected, duplicate, conflict, expired

    /// Whether this status claims the request's key, because a call was made for the request.
    var claimsKey: Bool {
        switch self {
        case .succeeded, .partiallySucceeded, .failed: true
        case .rejected, .duplicate, .conflict, .expired: false
        }
    }
}

/// One result, before it is written as a record (the contract's "Result"). A member is absent where it does not apply.
package struct StartResult: Equatable, Sendable {
    /// The last call that covered the request.
    package struct CallSummary: Equatable, Sendable {
        package var id: String
        package var httpStatus: Int?
        package var requestID: String?
        /// How many requests and hosts shared the call.
        package var requests: Int
        package var hosts: Int
        package var latency: Duration
    }

    /// The request that a duplicate or conflict repeats. It is in the same partition.
    package struct Original: Equatable, Sendable {
        package var status: Status
        package var offset: Int64
    }

    package struct FailedHost: Equatable, Sendable {
        package var hostID: String
        package var failure: Failure
    }

    package var status: Status
    package var fields: RequestFields
    package var position: Position
    package var requestTimestamp: Timestamp?
    /// The request record's Kafka key. The result uses it where there is no idempotency key.
    package var recordKey: [UInt8]?
    package var completedAt: Timestamp
    package var attempts = 0
    package var call: CallSummary?
    package var failedHosts: [FailedHost] = []
    package var failure: Failure?
    package var original: Original?
    /// `observed` where ListPluginStatus showed the hosts as started after an answer was lost.
    package var evidence: String?
    /// What the ledger needs to recognise the request again; nil for an invalid request.
    package var scopedKey: Fingerprint?
    package var fingerprint: Fingerprint?
    package var priority: Priority?
    /// `Record.identity` of the request's record; nil for a result made by a test.
    package var record: Fingerprint?

    /// A smaller form of the result, for a topic that refused the record as too large. Each step leaves out one more
    /// thing: free text, then the request's list of hosts, then everything but the codes of the failed hosts, then the
    /// failed hosts, then the other values whose length the producer chose. Nil where nothing is left to leave out.
    var shorter: StartResult? {
        var result = self
        result.fields.reason = nil
        result.fields.requestedBy = nil
        result.failure?.detail = nil
        for index in result.failedHosts.indices { result.failedHosts[index].failure.detail = nil }
        if result != self { return result }
        result.fields.hostIDs = []
        if result != self { return result }
        for index in result.failedHosts.indices {
            (result.failedHosts[index].failure.title, result.failedHosts[index].failure.httpStatus) = ("", nil)
        }
        if result != self { return result }
        result.failedHosts = []
        if result != self { return result }
        result.recordKey = nil
        (result.fields.trace, result.fields.correlationID) = (TraceContext(), nil)
        return result == self ? nil : result
    }
}
