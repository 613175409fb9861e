/// A request's record as it was received, with the result that made it a dead letter. It is written before the result,
/// because a request with a result is never looked at again.
package struct DeadLetter: Equatable, Sendable {
    package var record: Record
    package var result: StartResult

    /// What kind of fault it was, for whoever decides what becomes of it.
    package enum Disposition: String, Sendable {
        /// It fails again as it is: not a valid request, or refused by HSS for good.
        case poison
        /// It failed because HSS did, and can succeed later.
        case outage
        /// The policy does not allow it.
        case policy
    }

    package var disposition: Disposition {
        switch result.failure?.category {
        case .policy: .policy
        case .transient, .throttled, .auth: .outage
        case .invalid, .expired, .host, .request, .unknown, nil: .poison
        }
    }
}

extension Record {
    /// What a dead letter's header tells. Where the record had one of that name, the worker's is the last.
    package func deadLetterHeader(_ name: String) -> String? { lastHeader("dlq-\(name)") }

    /// The topic and position of the request whose record this dead letter is; nil for any other record.
    package var deadLetterOrigin: (topic: String, position: Position)? {
        guard let topic = deadLetterHeader("topic"),
            let partition = deadLetterHeader("partition").flatMap({ Int32($0) }),
            let offset = deadLetterHeader("offset").flatMap({ Int64($0) }), partition >= 0, offset >= 0
        else { return nil }
        return (topic, Position(partition: partition, offset: offset))
    }
}

extension ResultWriter {
    /// Appended to the record's own headers. Where a name repeats, the last one is this worker's.
    package func headers(_ letter: DeadLetter) -> [Header] {
        let (record, result) = (letter.record, letter.result)
        var headers = record.headers
        func add(_ name: String, _ value: String?) {
            if let value { headers.append(Header("dlq-\(name)", value)) }
        }
        let failure = result.failure
        add("reason", failure.map { [$0.title, $0.detail].compactMap { $0 }.joined(separator: ": ") })
        add("code", failure?.code)
        add("category", failure?.category.rawValue)
        add("disposition", letter.disposition.rawValue)
        add("topic", requestsTopic)
        add("partition", "\(record.position.partition)")
        add("offset", "\(record.position.offset)")
        add("timestamp", record.timestamp?.description)
        add("attempts", "\(result.attempts)")
        add("result-id", id(result.position, result.status))
        add("omitted-bytes", record.omittedBytes.map { "\($0)" })
        add("version", Version.text)
        return headers
    }
}
