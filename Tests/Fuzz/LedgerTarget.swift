@testable import Core

/// Checks headers of results, one per line, as a restore reads them. A dictionary remembers the same for comparison.
@Sendable func checkLedger(_ bytes: [UInt8]) throws {
    var ledger = Ledger(topic: "t")
    let identities = (0..<4).map { Fingerprint(high: $0, low: 7) }
    var known: [Fingerprint: LedgerEntry] = [:]
    var answered: [Int64: Set<Fingerprint?>] = [:]
    var others = 0
    var claims = 0
    let now = Timestamp(milliseconds: 1_767_225_600_000)
    for line in bytes.split(separator: UInt8(ascii: "\n")).prefix(64) {
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: nil,
            headers: [Header(LedgerEntry.header, Array(line))])
        guard let entry = LedgerEntry(record) else { continue }
        try hold(LedgerEntry(record) == entry, "reading twice gives the same result")
        try hold(
            LedgerEntry(entry.bytes) == entry,
            "\(String(decoding: entry.bytes, as: UTF8.self)) is read as it was written")
        try hold(entry.position.partition >= 0 && entry.position.offset >= 0, "the position is valid")
        try hold((entry.code ?? "").utf8.count <= 1024 && (entry.call ?? "").utf8.count <= 1024, "texts are bounded")
        ledger.restore(entry)
        if let source = entry.source, source.topic != "t" {
            others += 1
            continue
        }
        answered[entry.position.offset, default: []].insert(entry.source?.record)
        guard let key = entry.key, [.succeeded, .partiallySucceeded, .failed].contains(entry.status) else { continue }
        known[key] = entry
        claims += 1
    }
    try hold(ledger.count == claims, "restored entries are counted")
    try hold(ledger.ofOtherTopics == others && ledger.forgotten == 0, "results of another topic are counted")
    try hold(ledger.answeredCount(below: .max) == answered.count, "each offset with a result is counted once")
    let all = Set(answered.values.joined())
    for (offset, records) in answered {
        // The record is far later than any result, so a result without an identity is never accepted as its answer.
        let record = Record(
            position: Position(partition: 0, offset: offset), timestamp: .init(milliseconds: .max / 2), key: nil,
            value: nil)
        for identity in identities + records.compactMap(\.self) {
            // An identity depends on the offset too, so it is found wherever a header contained it.
            let expected: Ledger.Answer = all.contains(identity) ? .itsOwn : .anothers
            try hold(ledger.answer(to: record, identity, nil) == expected, "\(offset) is answered by its own result")
        }
    }
    for (key, entry) in known {
        let outcome = ledger.outcome(for: key, now: now, window: .seconds(1 << 40))
        if entry.status == .failed && entry.isRetryable {
            try hold(outcome == nil, "a retryable failure frees its key")
            continue
        }
        let found = try need(outcome, "a restored key is known")
        try hold(
            found.status == entry.status && found.offset == entry.position.offset
                && found.fingerprint.high == entry.fingerprint?.high, "a restored key has its outcome")
        if entry.status != .succeeded {
            try hold(
                found.failure?.code == (entry.code ?? "") && found.failure?.httpStatus == entry.httpStatus
                    && found.failure?.isRetryable == entry.isRetryable, "a restored failure equals the original")
        }
    }
    // One second past what a ledger can distinguish, so everything is older.
    ledger.expire(before: Timestamp(milliseconds: Int64(UInt32.max) * 1000 - 1))
    for (key, entry) in known where entry.completedAt.milliseconds < Int64(UInt32.max - 1) * 1000 && claims == 1 {
        try hold(ledger.count == 0, "old entries are removed")
        try hold(ledger.outcome(for: key, now: now, window: .seconds(1 << 40)) == nil, "removed entries are not found")
    }
}
