/// Follows the records of one partition from fetched to done, and computes the offset to commit. This is the first open
/// record, or the offset after the highest seen where no record is open. Missing offsets (compaction, transaction
/// markers, deleted records) do not hold the commit back, because only records that were seen are waited for.
package struct OffsetTracker: Sendable {
    /// Open records in the order of their offsets, and done records that have not been removed from between them yet.
    private var records = Queue<(offset: Int64, isDone: Bool)>()
    private var doneCount = 0
    /// The next offset to commit; nil until a record is done or the end of the partition is reached.
    package private(set) var committable: Int64?
    /// Everything below this offset was seen, as a record or as the end of the partition.
    package private(set) var next: Int64

    /// `start` is the offset at which reading begins.
    package init(from start: Int64 = 0) { next = start }

    package var openCount: Int { records.count - doneCount }
    var firstOpen: Int64? { records.first?.offset }
    /// The number of entries held. It is at most twice the number of open records, plus a small constant.
    var heldCount: Int { records.count }

    /// Opens a record. False where the log went back, so that its offset was passed before.
    package mutating func open(_ offset: Int64) -> Bool {
        guard offset >= next else { return false }
        next = offset + 1
        records.append((offset, false))
        return true
    }

    /// Marks a record as done. Returns the new committable offset, if it moved.
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
        // The offset of the first open record. Everything between it and the done records
        // is done or gone from the topic.
        committable = records.first?.offset ?? next
        return committable
    }

    /// Everything before this offset was seen, as a record or as a gap. Returns the new
    /// committable offset, if it moved.
    package mutating func reachedEnd(_ offset: Int64) -> Int64? {
        next = max(next, offset)
        guard records.isEmpty, next > committable ?? -1 else { return nil }
        committable = next
        return committable
    }

    /// A record that stays open must not keep later done records in memory. They are
    /// removed once they are more than half.
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
