/// What is known of the keys of one partition, and of the records answered before this process had it. Restored from the
/// results topic; 46 to 56 bytes a key.
package struct Ledger: Sendable {
    /// How a key's first request ended, as far as a `duplicate` must say it.
    package struct Outcome: Equatable, Sendable {
        package var status: Status
        package var offset: Int64
        package var fingerprint: Fingerprint
        package var completedAt: Timestamp
        package var failure: Failure?

        package init(
            status: Status, offset: Int64, fingerprint: Fingerprint, completedAt: Timestamp, failure: Failure?
        ) {
            self.status = status
            self.offset = offset
            self.fingerprint = fingerprint
            self.completedAt = completedAt
            self.failure = failure
        }

        /// Responders send a key again after a failure that could pass in order to make progress.
        var freesKey: Bool { status == .failed && (failure?.isRetryable ?? false) }
    }

    private var keys = KeyTable()
    private var answered: AnsweredRecords
    /// The requests topic: results of others answer nothing here.
    private let topic: String
    /// Results of another requests topic.
    package private(set) var ofOtherTopics = 0
    /// The vendor's codes, by the number that entries hold; few, and bounded.
    private var codes: [String] = [""]
    private var numbers: [String: UInt16] = [:]
    private static let maximumCodes = 4096
    /// When the last restored result was made.
    package private(set) var lastResultAt = Timestamp(milliseconds: 0)

    /// `records`: from the committed offset to the end of the log. `start`: where the partition is read from, which is later
    /// where the first of them were deleted.
    package init(topic: String = "", records: Range<Int64> = 0..<Int64.max, start: Int64? = nil) {
        self.topic = topic
        self.start = start ?? records.lowerBound
        answered = AnsweredRecords(records)
    }

    package var count: Int { keys.count }

    /// Where the partition is read from.
    let start: Int64

    /// Results that are not remembered because there are too many beyond the committed offset.
    package var forgotten: Int { answered.forgotten }

    /// How many of the offsets below this one, from the committed one on, have a result.
    package func answeredCount(below offset: Int64) -> Int { answered.count(below: offset) }

    enum Answer {
        /// There is no result for this offset.
        case none
        case itsOwn
        /// There is one for this offset, and it is another record's.
        case anothers
    }

    /// Version 1 of the header names no record. It is believed where key and action are the record's, and the result is not
    /// older than the record. Producers' clocks may differ by so much; not for a record without a key, where the time is all
    /// there is to tell it by, and where a second result costs no call.
    private static let tolerance: Duration = .seconds(300)

    /// Whether a record has its result already. `request`: what it says, where it is valid.
    func answer(to record: Record, _ identity: Fingerprint, _ request: StartRequest?) -> Answer {
        guard answered.holds(record.position.offset) else { return .none }
        if answered.contains(identity) { return .itsOwn }
        guard let legacy = answered.legacy(record.position.offset) else { return .anothers }
        guard legacy.key == request?.scopedKey, legacy.fingerprint == request?.fingerprint else { return .anothers }
        let tolerance = legacy.key == nil ? .zero : Self.tolerance
        guard let timestamp = record.timestamp, timestamp - legacy.completedAt > tolerance else { return .itsOwn }
        return .anothers
    }

    func holds(_ offset: Int64) -> Bool { answered.holds(offset) }

    /// No record below this offset will be read again.
    mutating func passed(_ offset: Int64) { answered.passed(offset) }

    /// The outcome that answers this key; nil where the key is free.
    package func outcome(for key: Fingerprint, now: Timestamp, window: Duration) -> Outcome? {
        guard let entry = keys.find(key) else { return nil }
        let outcome = self.outcome(entry)
        guard !outcome.freesKey, now - outcome.completedAt <= window else { return nil }
        return outcome
    }

    /// Remembers how a key ended, once its result is acknowledged.
    package mutating func remember(_ outcome: Outcome, for key: Fingerprint) {
        keep(
            key, outcome.fingerprint, outcome.offset, outcome.completedAt, outcome.status, code: outcome.failure?.code,
            isRetryable: outcome.failure?.isRetryable ?? false, httpStatus: outcome.failure?.httpStatus)
    }

    private mutating func keep(
        _ key: Fingerprint, _ fingerprint: Fingerprint, _ offset: Int64, _ completedAt: Timestamp, _ status: Status,
        code: String?, isRetryable: Bool, httpStatus: Int?
    ) {
        keys.insert(
            KeyTable.Entry(
                key: key, fingerprint: fingerprint.high, offset: offset,
                seconds: UInt32(clamping: completedAt.milliseconds / 1000), code: number(of: code),
                httpStatus: httpStatus, status: status, isRetryable: isRetryable))
    }

    /// Forgets what is older than the window; each entry is looked at once.
    package mutating func expire(before time: Timestamp) {
        keys.expire(before: UInt32(clamping: time.milliseconds / 1000))
    }

    /// Takes one result of this partition, in the order of the results topic. `now`: an entry of a clock that was ahead counts
    /// as of now, since it would hold up the expiry of all that came after it.
    package mutating func restore(_ entry: LedgerEntry, now: Timestamp? = nil) {
        var entry = entry
        if let now { entry.completedAt = min(entry.completedAt, now) }
        lastResultAt = max(lastResultAt, entry.completedAt)
        if let source = entry.source {
            // Whatever its topic, it tells when something was called; but what a repeat points to must be in this topic.
            guard source.topic == topic else {
                ofOtherTopics += 1
                return
            }
            answered.insert(entry.position.offset, source.record)
        } else {
            answered.insert(
                entry.position.offset,
                .init(key: entry.key, fingerprint: entry.fingerprint, completedAt: entry.completedAt))
        }
        guard let key = entry.key, let fingerprint = entry.fingerprint, entry.status.claimsKey else { return }
        // As it stands, also where a code is missing: whether the key is free again hangs on the rest.
        keep(
            key, fingerprint, entry.position.offset, entry.completedAt, entry.status, code: entry.code,
            isRetryable: entry.isRetryable, httpStatus: entry.httpStatus)
    }

    private mutating func number(of text: String?) -> UInt16 {
        guard let text else { return 0 }
        if let known = numbers[text] { return known }
        guard codes.count < Self.maximumCodes else { return 0 }
        let number = UInt16(codes.count)
        codes.append(text)
        numbers[text] = number
        return number
    }

    private func outcome(_ entry: KeyTable.Entry) -> Outcome {
        let failure =
            entry.status == .succeeded
            ? nil
            : Failure(
                code: codes[Int(entry.code)], isRetryable: entry.isRetryable, httpStatus: entry.httpStatus)
        return Outcome(
            status: entry.status, offset: entry.offset, fingerprint: Fingerprint(high: entry.fingerprint, low: 0),
            completedAt: Timestamp(milliseconds: Int64(entry.seconds) * 1000), failure: failure)
    }
}
