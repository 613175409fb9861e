/// One partition's records, from fetched to done, and how far its offset may be committed: up to the first record that
/// is open, or behind the highest seen where none is. Offsets that never come (compaction, transaction markers,
/// deleted records) do not hold it back, because only records that were seen are waited for.
package struct OffsetTracker: Sendable {
    /// Open records in the order of their offsets, and done ones that were not removed from between them yet.
    private var records = Queue<(offset: Int64, isDone: Bool)>()
    private var doneCount = 0
    /// The next offset to commit; nil before the first record was done.
    package private(set) var committable: Int64?
    /// Everything below was seen: records, or where the partition ended.
    package private(set) var next: Int64

    /// `start`: where reading begins.
    package init(from start: Int64 = 0) { next = start }

    package var openCount: Int { records.count - doneCount }
    var firstOpen: Int64? { records.first?.offset }
    /// Entries that are held; at most twice the open records and a few.
    var heldCount: Int { records.count }

    /// Opens a record. False where its offset was passed before: the log went back.
    package mutating func open(_ offset: Int64) -> Bool {
        guard offset >= next else { return false }
        next = offset + 1
        records.append((offset, false))
        return true
    }

    /// Marks a record as done. Returns the new committable offset where that moved it.
    package mutating func done(_ offset: Int64) -> Int64? {
        guard let place = place(of: offset), !records[place].isDone else { return nil }
        records[place].isDone = true
        doneCount += 1
        guard place == 0 else {
            removeDone()
            return nil
        }
        while let first = records.first, first.isDone {
            records.popFirst()
            doneCount -= 1
        }
        // Where a record is open, its own offset: what lies between is gone from the topic or done.
        committable = records.first?.offset ?? next
        return committable
    }

    /// Everything before this offset was seen, records or not. Returns the new committable offset where that moved it.
    package mutating func reachedEnd(_ offset: Int64) -> Int64? {
        next = max(next, offset)
        guard records.isEmpty, next > committable ?? -1 else { return nil }
        committable = next
        return committable
    }

    /// One record that stays open must not hold what was done since: it is removed once it is more than half.
    private mutating func removeDone() {
        guard doneCount > 64, doneCount > openCount else { return }
        records.removeAll(where: \.isDone)
        doneCount = 0
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
