/// The known outcomes of one partition's keys, and the records that were answered before this process owned the
/// partition. It is restored from the results topic and takes 46 to 56 bytes a key.
package struct Ledger: Sendable {
    /// The outcome of a key's first request, as far as a `duplicate` must contain it.
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

        /// Responders send a key again after a retryable failure in order to make progress.
        var freesKey: Bool { status == .failed && (failure?.isRetryable ?? false) }

        /// Whether a request with this action, which names this outcome's result, is a new attempt.
        func isRedriven(by redrive: Redrive?, _ action: Fingerprint?) -> Bool {
            redrive?.offset == offset && status.canBeRedriven && action?.high == fingerprint.high
        }
    }

    private var keys = KeyTable()
    private var answered: AnsweredRecords
    /// The requests topic. Results of other topics answer nothing here.
    private let topic: String
    /// How many results belong to another requests topic.
    package private(set) var ofOtherTopics = 0
    /// The vendor's codes, indexed by the number in the entries. They are few, and their number is bounded.
    private var codes: [String] = [""]
    private var numbers: [String: UInt16] = [:]
    private static let maximumCodes = 4096
    /// The time of the last restored result.
    package private(set) var lastResultAt = Timestamp(milliseconds: 0)

    /// `records` are the offsets from the committed offset to the end of the log. `start` is where reading begins,
    /// which is later if the first of these records were deleted.
    package init(topic: String = "", records: Range<Int64> = 0..<Int64.max, start: Int64? = nil) {
        self.topic = topic
        self.start = start ?? records.lowerBound
        answered = AnsweredRecords(records)
    }

    package var count: Int { keys.count }

    /// The offset at which reading begins.
    let start: Int64

    /// How many results are forgotten because there are too many beyond the committed offset.
    package var forgotten: Int { answered.forgotten }

    /// How many offsets from the committed offset up to this one have a result.
    package func answeredCount(below offset: Int64) -> Int { answered.count(below: offset) }

    enum Answer {
        /// There is no result for this offset.
        case none
        case itsOwn
        /// There is a result for this offset, but it belongs to another record.
        case anothers
    }

    /// Version 1 of the header does not identify the record. A version 1 result is accepted where key and action are
    /// the record's, and where the result is not older than the record. The clocks of producers may differ by this
    /// tolerance. It does not apply to a record without a key: such a record is recognised only by its time, and a
    /// second result for it costs no call.
    private static let tolerance: Duration = .seconds(300)

    /// Whether a record already has its result. `request` is the record's request, where it is valid.
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
        latest(for: key, now: now, window: window).flatMap { $0.freesKey ? nil : $0 }
    }

    /// The outcome that answers a request that sends another one again. It is a new attempt while the result that it
    /// names is the latest outcome of the key. If a later request with the key has an outcome, that outcome answers it,
    /// even where the key is free.
    func outcome(
        for key: Fingerprint, redriving redrive: Redrive, _ fingerprint: Fingerprint, now: Timestamp, window: Duration
    ) -> Outcome? {
        guard let latest = latest(for: key, now: now, window: window) else { return nil }
        if latest.offset > redrive.offset { return latest }
        return latest.freesKey || latest.isRedriven(by: redrive, fingerprint) ? nil : latest
    }

    private func latest(for key: Fingerprint, now: Timestamp, window: Duration) -> Outcome? {
        guard let entry = keys.find(key) else { return nil }
        let outcome = self.outcome(entry)
        return now - outcome.completedAt <= window ? outcome : nil
    }

    /// Stores the outcome of a key, once its result is acknowledged.
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

    /// Forgets entries older than `time`. Each entry is checked once.
    package mutating func expire(before time: Timestamp) {
        keys.expire(before: UInt32(clamping: time.milliseconds / 1000))
    }

    /// Adds one result of this partition, in the order of the results topic. An entry from a clock that was ahead is
    /// dated `now`, because it would delay the expiry of all later entries.
    package mutating func restore(_ entry: LedgerEntry, now: Timestamp? = nil) {
        var entry = entry
        if let now { entry.completedAt = min(entry.completedAt, now) }
        lastResultAt = max(lastResultAt, entry.completedAt)
        if let source = entry.source {
            // A result for any topic shows when a call was made. But a repeat may only refer to a record of this topic.
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
        // The entry is kept as it is, even without a code, because the other fields
        // decide whether the key is free again.
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
