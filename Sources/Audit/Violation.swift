package import Core

/// The rules that a history can break. Each case is the opposite of a sentence of the contract.
package enum Rule: String, CaseIterable, Sendable {
    /// A request that has no result although it is older than allowed.
    case unanswered
    /// A request with two results that have different statuses.
    case answeredTwice = "answered-twice"
    /// A request with two results of the same `ce_id`. An owner that was cut off and kept working may write them.
    case repeated = "repeated-with-the-same-id"
    /// A result whose request record does not exist, although the range covers it.
    case noRequest = "no-request"
    /// A key with two first outcomes within the dedupe window.
    case twoOutcomes = "two-outcomes"
    /// A duplicate or conflict that describes its original wrongly.
    case wrongOriginal = "wrong-original"
    /// A result that disagrees with its request, or with itself.
    case altered
    /// A result in a partition whose number is not the request's.
    case wrongPartition = "wrong-partition"
    /// A record on the results topic that is not a result.
    case unreadable
}

/// One place where a history breaks a rule.
package struct Violation: Equatable, Sendable {
    package var rule: Rule
    /// The position in the requests topic; nil if the request is unknown.
    package var request: Position?
    /// The position in the results topic; nil if there is no result.
    package var result: Position?
    package var key: String?
    /// What is wrong, as text for people.
    package var detail: String

    package init(_ rule: Rule, request: Position?, result: Position?, key: String?, _ detail: String) {
        self.rule = rule
        self.request = request
        self.result = result
        self.key = key
        self.detail = detail
    }

    /// One JSON object with `violation`, `request` and `result` {`partition`, `offset`}, `key` and `detail`. Unknown
    /// members are absent.
    package var json: JSON {
        func place(_ position: Position) -> JSON {
            .object([
                .init("partition", .integer(Int64(position.partition))), .init("offset", .integer(position.offset)),
            ])
        }
        var members: [JSON.Member] = [.init("violation", .string(rule.rawValue))]
        if let request { members.append(.init("request", place(request))) }
        if let result { members.append(.init("result", place(result))) }
        if let key { members.append(.init("key", .string(key))) }
        members.append(.init("detail", .string(detail)))
        return .object(members)
    }

    /// One line with the rule, both positions as partition/offset, the key, and what is wrong.
    package var text: String {
        "\(rule.rawValue): request \(request?.description ?? "-") result \(result?.description ?? "-") "
            + "key \(key ?? "-"): \(detail)"
    }
}
