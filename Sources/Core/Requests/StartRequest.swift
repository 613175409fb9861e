/// Decides which waiting requests get the next call.
package enum Priority: String, CaseIterable, Sendable, Comparable {
    case critical, normal, bulk

    /// Lower goes first.
    package var rank: Int {
        switch self {
        case .critical: 0
        case .normal: 1
        case .bulk: 2
        }
    }

    package static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
}

/// What a request asks for, as far as it could be read. The result of a rejected request contains the same fields.
package struct RequestFields: Equatable, Sendable {
    package var idempotencyKey: String?
    package var projectID: String?
    package var enterpriseProjectID: String?
    package var pluginCode: String?
    package var operateAll: Bool?
    package var hostIDs: [String] = []
    package var correlationID: String?
    package var requestedBy: String?
    package var reason: String?
    package var trace = TraceContext()

    package init() {}
}

/// A request that passed validation (the contract's "Start request"). It never changes, so that all who hold it share
/// one copy.
package final class StartRequest: Equatable, Sendable {
    package let idempotencyKey: String
    package let projectID: String
    package let enterpriseProjectID: String?
    package let pluginCode: String
    package let operateAll: Bool
    /// Without repeats, in the order given. Empty with `operateAll`.
    package let hostIDs: [String]
    package let expiresAt: Timestamp?
    package let priority: Priority
    /// Who sent the request, as it names itself: `requested_by`, else the CloudEvents source, else the header
    /// `requested-by`; nil where there is none. No more than 256 characters of it are kept.
    package let producer: String?
    /// The key within its project, in 128 bits.
    package let scopedKey: Fingerprint
    /// What the request does.
    package let fingerprint: Fingerprint
    /// All fields that the result repeats.
    package let fields: RequestFields

    init(
        idempotencyKey: String, projectID: String, enterpriseProjectID: String?, pluginCode: String, operateAll: Bool,
        hostIDs: [String], expiresAt: Timestamp?, priority: Priority, producer: String?, fields: RequestFields
    ) {
        self.idempotencyKey = idempotencyKey
        self.projectID = projectID
        self.enterpriseProjectID = enterpriseProjectID
        self.pluginCode = pluginCode
        self.operateAll = operateAll
        self.hostIDs = hostIDs
        self.expiresAt = expiresAt
        self.priority = priority
        self.producer = producer
        self.fields = fields
        scopedKey = Fingerprint(scoping: idempotencyKey, to: projectID)
        fingerprint = Fingerprint(
            ofActionIn: projectID, enterpriseProjectID, pluginCode, operateAll: operateAll, hostIDs)
    }

    /// `fields` repeats all that is not compared here.
    package static func == (a: StartRequest, b: StartRequest) -> Bool {
        a.fields == b.fields && a.expiresAt == b.expiresAt && a.priority == b.priority && a.hostIDs == b.hostIDs
    }
}

/// Why a request gets a result without a call: the field, and the rule that it breaks.
package struct Rejection: Error, Equatable, Sendable {
    package enum Category: String, Sendable { case invalid, policy }

    package var category: Category
    /// The name of the field, `value` for the record's whole value, or `header NAME` for a header.
    package var field: String
    /// Completes the sentence "`field` ...", such as "must not be empty".
    package var rule: String
    /// The fields that could be read.
    package var fields: RequestFields

    package var message: String { "\(field) \(rule)" }
}

extension Rejection {
    init(_ refusal: PolicyRefusal, _ request: StartRequest) {
        self.init(category: .policy, field: refusal.field, rule: refusal.text, fields: request.fields)
    }
}
