package import Core
package import Reporting

/// Chooses failed requests and makes the records that send them again.
///
/// First it takes every result, or every dead letter, of the range. Then it takes the records of the requests topic,
/// from the first chosen request to the end. These hold the original records. They also hold the copies that were sent
/// before, whose header names the result, so nothing has to be remembered elsewhere between two runs.
package struct RedriveSelection {
    package struct Rules: Sendable {
        package var requestsTopic: String
        package var filter: ResultFilter
        /// Statuses to send again.
        package var statuses: Set<Status>
        package var priority: Priority
        /// The highest generation that may be sent.
        package var maximumGeneration: Int

        package init(
            requestsTopic: String, filter: ResultFilter, statuses: Set<Status>, priority: Priority,
            maximumGeneration: Int
        ) {
            (self.requestsTopic, self.filter, self.statuses) = (requestsTopic, filter, statuses)
            (self.priority, self.maximumGeneration) = (priority, maximumGeneration)
        }
    }

    /// Why a failed request that the filters chose is not sent.
    package enum Reason: String, CaseIterable, Sendable {
        case superseded = "its key has a later outcome"
        case alreadySent = "already sent again"
        case generation = "sent again too often (--max-generation)"
        case expired = "its expires_at has passed"
        case deleted = "its record is no longer in the requests topic"
        case withoutValue = "its dead letter has no value, because it was too long"
        case otherTopic = "it is of another requests topic"
    }

    /// More candidates than this are refused, which bounds memory.
    package static let maximumCandidates = 100_000

    private struct Key: Hashable {
        var partition: Int32
        var key: Fingerprint
    }

    private let rules: Rules
    private let decoder: RequestDecoder
    private var candidates: [Position: RedriveCandidate] = [:]
    /// The newest candidate of each key.
    private var newest: [Key: Position] = [:]
    /// The newest copy of each candidate that was sent before.
    private var copies: [Position: Record] = [:]
    /// Candidates that were left out while they were read.
    private var counts: [Reason: Int] = [:]
    /// Results or dead letters that were read.
    package private(set) var read = 0

    package init(_ rules: Rules) {
        self.rules = rules
        decoder = RequestDecoder(maximumBytes: .max, policy: .unrestricted)
    }

    package var isTooLarge: Bool { candidates.count > Self.maximumCandidates }

    /// The offset of the first candidate in each partition that has one.
    package var firstOffsets: [Int32: Int64] {
        candidates.keys.reduce(into: [:]) { $0[$1.partition] = min($0[$1.partition] ?? .max, $1.offset) }
    }

    // MARK: Reading

    /// Takes the next result of a partition. `isInRange`: the filters of time choose it.
    package mutating func take(result: JSON, _ entry: LedgerEntry, isInRange: Bool = true) {
        guard entry.source.map({ $0.topic == rules.requestsTopic }) ?? true else { return }
        if isInRange { read += 1 }
        let isChosen = isInRange && rules.statuses.contains(entry.status) && rules.filter.matches(result)
        let isOutcome = [.succeeded, .partiallySucceeded, .failed].contains(entry.status)
        if let key = entry.key, isChosen || isOutcome { forgetOlder(key, than: entry.position) }
        if isChosen { insert(RedriveCandidate(entry, result, topic: rules.requestsTopic)) }
    }

    /// Takes a record of the dead-letter topic. One that the worker did not write there is not counted.
    package mutating func take(letter record: Record) {
        guard let letter = DeadLetterReading(record, decoder) else { return }
        read += 1
        let candidate = letter.candidate
        guard rules.statuses.contains(candidate.status), rules.filter.matches(letter.result) else { return }
        if letter.topic != rules.requestsTopic {
            counts[.otherTopic, default: 0] += 1
        } else if letter.isWithoutValue {
            counts[.withoutValue, default: 0] += 1
        } else if candidates[candidate.request] == nil {
            if let key = candidate.key {
                // Letters of one key can be in any order.
                if let known = newest[Key(partition: candidate.request.partition, key: key)], known > candidate.request
                {
                    counts[.superseded, default: 0] += 1
                    return
                }
                forgetOlder(key, than: candidate.request)
            }
            insert(candidate)
        }
    }

    private mutating func forgetOlder(_ key: Fingerprint, than position: Position) {
        let key = Key(partition: position.partition, key: key)
        guard let known = newest[key], known != position else { return }
        newest[key] = nil
        candidates[known] = nil
        counts[.superseded, default: 0] += 1
    }

    private mutating func insert(_ candidate: RedriveCandidate) {
        candidates[candidate.request] = candidate
        guard let key = candidate.key else { return }
        newest[Key(partition: candidate.request.partition, key: key)] = candidate.request
    }

    /// Takes the next record of the requests topic.
    package mutating func take(request record: Record) {
        if let candidate = candidates[record.position], candidate.record == nil, isOf(candidate, record) {
            candidates[record.position]?.record = record
        }
        guard let redrive = Redrive(record, topic: rules.requestsTopic) else { return }
        let original = Position(partition: record.position.partition, offset: redrive.offset)
        // The header must name the candidate's result, not another one of the same record.
        let id = record.headers.last { $0.name == Redrive.ofHeader }?.value
        if let candidate = candidates[original], id?.elementsEqual(candidate.resultID.utf8) ?? false {
            copies[original] = record
        }
    }

    /// Whether the record is the one that the candidate's result answers. After a topic was created again, another
    /// record can have its offset. A result of an old worker does not identify its record; it must have the same key.
    private func isOf(_ candidate: RedriveCandidate, _ record: Record) -> Bool {
        if let identity = candidate.identity { return record.identity(topic: rules.requestsTopic) == identity }
        guard let key = candidate.key else { return true }
        return (try? decoder.decode(record).get().scopedKey) == key
    }

    // MARK: The outcome

    /// The newest copy that was sent before; nil where there is none.
    package func copy(of request: Position) -> Record? { copies[request] }

    /// Everything that was read, sorted into what is sent and what is not.
    package func finish(now: Timestamp) -> RedriveChoice {
        var choice = RedriveChoice()
        choice.leftOut = counts
        for (position, candidate) in candidates {
            if let copy = copies[position] {
                choice.sentBefore.append((candidate, copy.position))
                choice.leftOut[.alreadySent, default: 0] += 1
                continue
            }
            switch redriven(candidate, now) {
            case .success(let record): choice.records.append(record)
            case .failure(let fault): choice.leftOut[fault.reason, default: 0] += 1
            }
        }
        choice.sentBefore.sort { $0.copy < $1.copy }
        choice.records.sort { ($0.time, $0.candidate.request) < ($1.time, $1.candidate.request) }
        return choice
    }

    private struct Fault: Error { var reason: Reason }

    private func redriven(_ candidate: RedriveCandidate, _ now: Timestamp) -> Result<RedrivenRecord, Fault> {
        guard let record = candidate.record else { return .failure(Fault(reason: .deleted)) }
        let generation = Redrive.generation(of: record) + 1
        guard generation <= rules.maximumGeneration else { return .failure(Fault(reason: .generation)) }
        let request = try? decoder.decode(record).get()
        if let expiresAt = request?.expiresAt, expiresAt <= now { return .failure(Fault(reason: .expired)) }
        return .success(
            RedrivenRecord(
                candidate: candidate, idempotencyKey: request?.idempotencyKey, generation: generation,
                time: record.timestamp ?? Timestamp(milliseconds: 0), key: record.key,
                value: record.value(withPriority: rules.priority, decoder),
                headers: Redrive.headers(record, of: candidate.resultID, generation: generation)))
    }
}

/// What is sent again, oldest first, and what is not.
package struct RedriveChoice {
    package internal(set) var records: [RedrivenRecord] = []
    package internal(set) var leftOut: [RedriveSelection.Reason: Int] = [:]
    /// Candidates that were sent before and have no outcome since, each with the position of its copy.
    package internal(set) var sentBefore: [(candidate: RedriveCandidate, copy: Position)] = []
}

/// A record that sends a request again. It goes to the partition of the first one, because a key is known within its
/// partition only.
package struct RedrivenRecord: Equatable, Sendable {
    package let candidate: RedriveCandidate
    package let idempotencyKey: String?
    package let generation: Int
    /// When the request was made.
    let time: Timestamp
    package let key: [UInt8]?
    package let value: [UInt8]?
    package let headers: [Header]
}
