/// What is known of the keys of one partition, and of the records answered before this process had it. Restored from the
/// results topic; some 50 bytes a key.
package struct Ledger: Sendable {
    /// How a key's first request ended, as far as a `duplicate` must say it.
    package struct Outcome: Equatable, Sendable {
        package var status: Status
        package var offset: Int64
        package var fingerprint: Fingerprint
        package var completedAt: Timestamp
        package var failure: Failure?

        /// Responders send a key again after a failure that could pass in order to make progress.
        var freesKey: Bool { status == .failed && (failure?.isRetryable ?? false) }
    }

    private var keys = KeyTable()
    private var answered = AnsweredOffsets()
    /// The vendor's codes, by the number that entries hold; few, and bounded.
    private var codes: [String] = [""]
    private static let maximumCodes = 4096
    /// Calls that restored results tell of, by id: when they were answered.
    package private(set) var calls: [String: Timestamp] = [:]
    /// When the last restored result was made.
    private var lastResultAt = Timestamp(milliseconds: 0)

    package init() {}

    package var count: Int { keys.count }

    /// Whether the record at this offset has its result already.
    func isAnswered(_ offset: Int64) -> Bool { answered.contains(offset) }

    /// When the last result was made, where all of these records have one; nil where one has none.
    package func idleSince(_ offsets: Range<Int64>) -> Timestamp? {
        offsets.allSatisfy(isAnswered) ? lastResultAt : nil
    }

    /// The outcome that answers this key; nil where the key is free.
    func outcome(for key: Fingerprint, now: Timestamp, window: Duration) -> Outcome? {
        guard let entry = keys.find(key) else { return nil }
        let outcome = self.outcome(entry)
        guard !outcome.freesKey, now - outcome.completedAt <= window else { return nil }
        return outcome
    }

    /// Remembers how a key ended, once its result is acknowledged.
    mutating func remember(_ outcome: Outcome, for key: Fingerprint) {
        let number = code(outcome.failure?.code)
        keys.insert(
            KeyTable.Entry(
                key: key, fingerprint: outcome.fingerprint.high, offset: outcome.offset,
                seconds: UInt32(clamping: outcome.completedAt.milliseconds / 1000), code: number,
                httpStatus: UInt16(clamping: outcome.failure?.httpStatus ?? 0),
                status: UInt8(Status.allCases.firstIndex(of: outcome.status) ?? 0),
                isRetryable: outcome.failure?.isRetryable ?? false))
    }

    /// Forgets what is older than the window; each entry is looked at once.
    mutating func expire(before time: Timestamp) {
        keys.expire(before: UInt32(clamping: time.milliseconds / 1000))
    }

    /// Takes one result of this partition, in the order of the results topic. `callsSince`: calls answered later than that
    /// are kept for the quota.
    package mutating func restore(_ entry: LedgerEntry, callsSince: Timestamp) {
        answered.insert(entry.position.offset)
        lastResultAt = max(lastResultAt, entry.completedAt)
        if let call = entry.call, entry.completedAt > callsSince, calls.count < 100_000 {
            calls[call] = entry.completedAt
        }
        guard let key = entry.key, let fingerprint = entry.fingerprint,
            [.succeeded, .partiallySucceeded, .failed].contains(entry.status)
        else { return }
        remember(
            Outcome(
                status: entry.status, offset: entry.position.offset, fingerprint: fingerprint,
                completedAt: entry.completedAt,
                failure: entry.code.map {
                    Failure(code: $0, isRetryable: entry.isRetryable, httpStatus: entry.httpStatus)
                }), for: key)
    }

    private mutating func code(_ text: String?) -> UInt16 {
        guard let text else { return 0 }
        if let known = codes.firstIndex(of: text) { return UInt16(known) }
        guard codes.count < Self.maximumCodes else { return 0 }
        codes.append(text)
        return UInt16(codes.count - 1)
    }

    private func outcome(_ entry: KeyTable.Entry) -> Outcome {
        let status = Status.allCases[Int(entry.status)]
        let failure =
            status == .succeeded
            ? nil
            : Failure(
                code: codes[Int(entry.code)], isRetryable: entry.isRetryable,
                httpStatus: entry.httpStatus == 0 ? nil : Int(entry.httpStatus))
        return Outcome(
            status: status, offset: entry.offset, fingerprint: Fingerprint(high: entry.fingerprint, low: 0),
            completedAt: Timestamp(milliseconds: Int64(entry.seconds) * 1000), failure: failure)
    }
}
