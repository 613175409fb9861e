/// Keys and the outcome of each, oldest first. A hash table holds serial numbers of entries, which are stored in
/// blocks. Expiry frees whole blocks. An entry costs 40 bytes plus its share of the table, 6 to 16 bytes.
struct KeyTable: Sendable {
    struct Entry: Sendable {
        var key: Fingerprint
        /// Half of the fingerprint, which is enough to distinguish a repeat from a conflict.
        var fingerprint: UInt64
        var offset: Int64
        var seconds: UInt32
        var code: UInt16
        /// HTTP status, status and whether the failure is retryable, packed into two bytes. A third byte would
        /// grow entries from 40 to 48 bytes.
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
    /// The serial number of the first entry that is kept. Serial numbers always grow; the
    /// table truncates them to 32 bits.
    private var first: UInt64 = 0
    private var next: UInt64 = 0
    /// The serial number at which the first block begins.
    private var base: UInt64 = 0
    /// Serial number + 1, by hash; 0 marks a free slot. An expired entry occupies its slot until the table is rebuilt.
    private var slots = [UInt32](repeating: 0, count: 64)
    private var used = 0

    /// The number of kept entries, including those that a later entry replaced.
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
        // The table is at most two thirds full. Beyond that, the search for a new key passes many other entries,
        // and each of them is a cache miss.
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

    /// Sizes the table for the kept entries and drops the expired ones. It inserts the newest entry first, so that a
    /// search finds the later of two entries with the same key, and no keys have to be compared. Speed matters here,
    /// because a pass over a million entries stops the loop for tens of milliseconds.
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

    /// The entry that a slot's number refers to; nil where the entry has expired.
    private func entry(_ number: UInt32) -> Entry? {
        // The number is truncated. It refers to the latest serial number that is not above `next`.
        let distance = UInt32(truncatingIfNeeded: next) &- (number &- 1)
        guard distance >= 1, UInt64(distance) <= next - first else { return nil }
        return self[next - UInt64(distance)]
    }
}
