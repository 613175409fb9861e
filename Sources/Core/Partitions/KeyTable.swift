/// Keys with what is remembered of each, oldest first: a hash table of numbers into blocks of entries. Expiry gives whole
/// blocks back, and an entry costs 40 bytes and its share of the table, 6 to 16.
struct KeyTable: Sendable {
    struct Entry: Sendable {
        var key: Fingerprint
        /// Half of it: enough to tell a repeat from a conflict.
        var fingerprint: UInt64
        var offset: Int64
        var seconds: UInt32
        var code: UInt16
        /// HTTP status, status and whether it can pass: in two bytes, since three would make 48 of an entry's 40.
        private var answer: UInt16

        init(
            key: Fingerprint, fingerprint: UInt64, offset: Int64, seconds: UInt32, code: UInt16, httpStatus: Int?,
            status: Status, isRetryable: Bool
        ) {
            self.key = key
            self.fingerprint = fingerprint
            self.offset = offset
            self.seconds = seconds
            self.code = code
            let number = UInt16(Self.statuses.firstIndex(of: status) ?? 0)
            answer = UInt16(max(0, min(httpStatus ?? 0, 999))) << 4 | number << 1 | (isRetryable ? 1 : 0)
        }

        var httpStatus: Int? { answer >> 4 == 0 ? nil : Int(answer >> 4) }
        var status: Status { Self.statuses[Int(answer >> 1 & 7)] }
        var isRetryable: Bool { answer & 1 == 1 }
        private static let statuses = Status.allCases
    }

    private static let blockSize = 1024
    private var blocks = Queue<[Entry]>()
    /// The serial number of the first entry that is kept; numbers run on and are cut to 32 bits in the table.
    private var first: UInt64 = 0
    private var next: UInt64 = 0
    /// Where the first block begins.
    private var base: UInt64 = 0
    /// Serial number + 1 by hash; 0 is free. An entry that is gone stands for a used slot until the table is made anew.
    private var slots = [UInt32](repeating: 0, count: 64)
    private var used = 0

    /// Entries kept, those replaced by a later one included.
    var count: Int { Int(next - first) }

    func find(_ key: Fingerprint) -> Entry? {
        var slot = Int(truncatingIfNeeded: key.low) & (slots.count - 1)
        while slots[slot] != 0 {
            if let entry = entry(slots[slot]), entry.key == key { return entry }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    mutating func insert(_ entry: Entry) {
        // Two thirds: beyond that a key that is new meets many others on its way, each of them out of the cache.
        if (used + 1) * 3 > slots.count * 2 { rebuild() }
        let number = UInt32(truncatingIfNeeded: next + 1)
        append(entry)
        place(number, entry.key)
    }

    mutating func expire(before seconds: UInt32) {
        while first < next, let entry = self[first], entry.seconds < seconds {
            first += 1
            if first - base >= UInt64(Self.blockSize) {
                blocks.popFirst()
                base += UInt64(Self.blockSize)
            }
        }
    }

    private mutating func append(_ entry: Entry) {
        if blocks.isEmpty || blocks[blocks.count - 1].count == Self.blockSize {
            var block: [Entry] = []
            block.reserveCapacity(Self.blockSize)
            blocks.append(block)
        }
        blocks[blocks.count - 1].append(entry)
        next += 1
    }

    private mutating func place(_ number: UInt32, _ key: Fingerprint) {
        var slot = Int(truncatingIfNeeded: key.low) & (slots.count - 1)
        while slots[slot] != 0 {
            if let known = entry(slots[slot]), known.key == key { break }
            slot = (slot + 1) & (slots.count - 1)
        }
        if slots[slot] == 0 { used += 1 }
        slots[slot] = number
    }

    /// Sized for what is kept, without what is gone. From the newest on, so that of two entries with one key the later is
    /// met first and none has to be compared: a pass over a million entries stops the loop for tens of milliseconds.
    private mutating func rebuild() {
        var size = 64
        while size < count * 2 { size *= 2 }
        slots = [UInt32](repeating: 0, count: size)
        used = 0
        for serial in (first..<next).reversed() {
            guard let entry = self[serial] else { continue }
            var slot = Int(truncatingIfNeeded: entry.key.low) & (size - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: serial + 1)
            used += 1
        }
    }

    private subscript(serial: UInt64) -> Entry? {
        let place = Int(serial - base)
        let block = place / Self.blockSize
        guard block < blocks.count else { return nil }
        return blocks[block][place % Self.blockSize]
    }

    /// The entry that a slot's number stands for; nil where it is gone.
    private func entry(_ number: UInt32) -> Entry? {
        // Numbers are cut: the one meant is the latest not above `next`.
        let distance = UInt32(truncatingIfNeeded: next) &- (number &- 1)
        guard distance >= 1, UInt64(distance) <= next - first else { return nil }
        return self[next - UInt64(distance)]
    }
}
