/// The seven things that can become of a request.
package enum Status: String, CaseIterable, Sendable {
    case succeeded
    case partiallySucceeded = "partially_succeeded"
    case failed, rejected, duplicate, conflict, expired

    /// Whether the request's key is taken by it: a call was made for it.
    var claimsKey: Bool {
        switch self {
        case .succeeded, .partiallySucceeded, .failed: true
        case .rejected, .duplicate, .conflict, .expired: false
        }
    }
}

/// One result, before it is written as a record: the contract's "Result". Absent means not applicable.
package struct StartResult: Equatable, Sendable {
    /// The call that covered the request last.
    package struct CallSummary: Equatable, Sendable {
        package var id: String
        package var httpStatus: Int?
        package var requestID: String?
        /// How many requests and hosts shared the call.
        package var requests: Int
        package var hosts: Int
        package var latency: Duration
    }

    /// What a duplicate or conflict points to; in the same partition.
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
    /// The request record's Kafka key: the result's where there is no idempotency key.
    package var recordKey: [UInt8]?
    package var completedAt: Timestamp
    package var attempts = 0
    package var call: CallSummary?
    package var failedHosts: [FailedHost] = []
    package var failure: Failure?
    package var original: Original?
    /// `observed` where ListPluginStatus showed the hosts as started after an answer was lost.
    package var evidence: String?
    /// What the ledger needs to know the request again; nil where nothing claims a key.
    package var scopedKey: Fingerprint?
    package var fingerprint: Fingerprint?
    package var priority: Priority?
    /// `Record.identity` of the request's record; nil where a test made the result.
    package var record: Fingerprint?

    /// The same with less in it, for a topic that takes no record of this size: first without free text, then without the
    /// request's list of hosts, then with only the codes of the hosts that failed, then without these hosts, then without
    /// whatever else came in at its producer's length. Nil where nothing is left to leave out.
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
        (result.fields.traceparent, result.fields.tracestate, result.fields.correlationID) = (nil, nil, nil)
        return result == self ? nil : result
    }
}
