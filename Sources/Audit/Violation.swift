package import Core

/// What a history can break. Each is a sentence of the contract, read backwards.
package enum Rule: String, CaseIterable, Sendable {
    /// A request, older than it may be, without a result.
    case unanswered
    /// A request with two results that say different things.
    case answeredTwice = "answered-twice"
    /// A request with two results of one `ce_id`: what an owner that was cut off and went on may leave behind.
    case repeated = "repeated-with-the-same-id"
    /// A result whose request record is not there, although the range covers it.
    case noRequest = "no-request"
    /// A key with two first outcomes within the dedupe window.
    case twoOutcomes = "two-outcomes"
    /// A duplicate or conflict whose original is not what it says.
    case wrongOriginal = "wrong-original"
    /// A result that disagrees with its request, or with itself.
    case altered
    /// A result in another partition than its request's number.
    case wrongPartition = "wrong-partition"
    /// A record on the results topic that is no result at all.
    case unreadable
}

/// One place where a history breaks a rule.
package struct Violation: Equatable, Sendable {
    package var rule: Rule
    /// In the requests topic; nil where no request could be told.
    package var request: Position?
    /// In the results topic; nil where there is no result.
    package var result: Position?
    package var key: String?
    /// What is wrong, for people.
    package var detail: String

    package init(_ rule: Rule, request: Position?, result: Position?, key: String?, _ detail: String) {
        self.rule = rule
        self.request = request
        self.result = result
        self.key = key
        self.detail = detail
    }

    /// One JSON object: `violation`, `request` and `result` {`partition`, `offset`}, `key`, `detail`; what is not known is
    /// absent.
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

    /// One line: rule, both positions as partition/offset, key, and what is wrong.
    package var text: String {
        "\(rule.rawValue): request \(request?.description ?? "-") result \(result?.description ?? "-") "
            + "key \(key ?? "-"): \(detail)"
    }
}
