/// One partition's records, from fetched to done, and how far its offset may be committed: up to the first record that
/// is open, or behind the highest done where none is. Offsets that never come (compaction, transaction markers,
/// deleted records) do not hold it back, because only records that were seen are waited for.
package struct OffsetTracker: Sendable {
    private var records = Queue<(offset: Int64, isDone: Bool)>()
    /// The next offset to commit; nil before the first record was done.
    package private(set) var committable: Int64?
    /// The highest offset seen.
    package private(set) var highest: Int64?
    /// Where the partition was seen to end: what lies between the last record and this is no record.
    private var end: Int64 = 0

    package init() {}

    package var openCount: Int { records.elements.lazy.filter { !$0.isDone }.count }

    /// Opens a record. False where its offset was seen before: it is the same record again.
    package mutating func open(_ offset: Int64) -> Bool {
        if let highest, offset <= highest { return false }
        highest = offset
        records.append((offset, false))
        return true
    }

    /// Marks a record as done. Returns the new committable offset where that moved it.
    package mutating func done(_ offset: Int64) -> Int64? {
        guard let place = place(of: offset), !records[place].isDone else { return nil }
        records[place].isDone = true
        guard place == 0 else { return nil }
        var last = offset
        while let first = records.first, first.isDone {
            last = first.offset
            records.popFirst()
        }
        // Where a record is open, its own offset: what lies between is gone from the topic or done.
        committable = records.first?.offset ?? max(last + 1, end)
        return committable
    }

    /// Everything before this offset was seen, records or not. Returns the new committable offset where that moved it.
    package mutating func reachedEnd(_ offset: Int64) -> Int64? {
        end = max(end, offset)
        guard records.isEmpty, end > committable ?? -1 else { return nil }
        committable = end
        return committable
    }

    private func place(of offset: Int64) -> Int? {
        var low = 0
        var high = records.count
        while low < high {
            let middle = (low + high) / 2
            if records[middle].offset < offset { low = middle + 1 } else { high = middle }
        }
        return low < records.count && records[low].offset == offset ? low : nil
    }
}
