/// Records of one partition that have a result but may be read again, because the
/// committed offset is at or below theirs.
///
/// An offset alone does not identify a record, because the topic may have been recreated or a header may be forged. So
/// each result is kept under its record's identity, and an offset may have several results. Their number is bounded by
/// how far results run ahead of the committed offset, normally by the number of open requests. Beyond `limit` the
/// earliest results are forgotten. Their records are then processed again and get a second result, rather than none.
struct AnsweredRecords: Sendable {
    /// The description of a record in a header of version 1.
    struct Legacy: Sendable {
        var key: Fingerprint?
        var fingerprint: Fingerprint?
        var completedAt: Timestamp
    }

    private struct Generation: Sendable {
        var records: Set<Fingerprint> = []
        var legacy: [Int64: Legacy] = [:]
        var offsets: Set<Int64> = []
        var count: Int { records.count + legacy.count }
    }

    /// About 50 MB.
    static let limit = 1 << 20
    /// Offsets of existing records, from the committed offset on. Results for other offsets are not kept.
    let range: Range<Int64>
    private let limit: Int
    private var young = Generation()
    private var old = Generation()
    private var highest: Int64 = -1
    /// How many results were forgotten because there were too many.
    private(set) var forgotten = 0

    init(_ range: Range<Int64>, limit: Int = Self.limit) {
        self.range = range
        self.limit = limit
    }

    var count: Int { young.count + old.count }

    /// Whether any record at this offset has a result.
    func holds(_ offset: Int64) -> Bool { young.offsets.contains(offset) || old.offsets.contains(offset) }

    func contains(_ record: Fingerprint) -> Bool { young.records.contains(record) || old.records.contains(record) }

    func legacy(_ offset: Int64) -> Legacy? { young.legacy[offset] ?? old.legacy[offset] }

    /// How many offsets below this one have a result.
    func count(below offset: Int64) -> Int {
        young.offsets.count { $0 < offset } + old.offsets.count { $0 < offset && !young.offsets.contains($0) }
    }

    mutating func insert(_ offset: Int64, _ record: Fingerprint) {
        guard makeRoom(offset) else { return }
        young.records.insert(record)
    }

    mutating func insert(_ offset: Int64, _ legacy: Legacy) {
        guard makeRoom(offset) else { return }
        young.legacy[offset] = legacy
    }

    /// No record below this offset will be read again. Forgets everything once this offset is above all kept results.
    mutating func passed(_ offset: Int64) {
        if highest >= 0 && offset > highest { (young, old, highest) = (Generation(), Generation(), -1) }
    }

    private mutating func makeRoom(_ offset: Int64) -> Bool {
        guard range.contains(offset) else { return false }
        highest = max(highest, offset)
        if young.count >= limit / 2 {
            forgotten += old.count
            (old, young) = (young, Generation())
        }
        young.offsets.insert(offset)
        return true
    }
}
