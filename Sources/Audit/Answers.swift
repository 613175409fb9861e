internal import Core

/// How each request was answered, by offset. It takes one byte per request, for as long as the dedupe window. Of
/// anything older, the audit knows only that it has been settled.
struct Answers: Sendable {
    /// The first offset that `statuses` covers.
    private(set) var base: Int64
    /// 0 means no answer. Any other value is the status's index in `Status.allCases` plus one.
    private(set) var statuses: [UInt8] = []
    /// Pairs of a time and the offset up to which requests had been answered by then. There are a few, oldest first.
    private(set) var milestones: [(offset: Int64, time: Timestamp)] = []
    /// Answers to offsets below the base. Such a request was open for a whole window, or deleted requests follow it.
    private(set) var late: [Int64: (status: Status, time: Timestamp)] = [:]

    init(base: Int64) { self.base = base }

    init?(base: Int64, statuses: [UInt8], milestones: [(offset: Int64, time: Timestamp)]) {
        guard statuses.allSatisfy({ $0 <= Status.allCases.count }) else { return nil }
        (self.base, self.statuses, self.milestones) = (base, statuses, milestones)
    }

    subscript(offset: Int64) -> Status? {
        if let late = late[offset] { return late.status }
        guard offset >= base, offset - base < Int64(statuses.count) else { return nil }
        let byte = statuses[Int(offset - base)]
        return byte == 0 ? nil : Status.allCases[Int(byte) - 1]
    }

    mutating func set(_ offset: Int64, _ status: Status, _ time: Timestamp) {
        if offset < base {
            late[offset] = (status, time)
            return
        }
        guard let place = Status.allCases.firstIndex(of: status) else { return }
        let index = Int(offset - base)
        if index >= statuses.count { statuses += [UInt8](repeating: 0, count: index + 1 - statuses.count) }
        statuses[index] = UInt8(place + 1)
    }

    /// Skips the offsets below this one, which are gone, so that no byte is spent on them.
    mutating func skip(to offset: Int64, _ time: Timestamp) {
        for (index, byte) in statuses.enumerated() where byte > 0 {
            late[base + Int64(index)] = (Status.allCases[Int(byte) - 1], time)
        }
        (base, statuses, milestones) = (offset, [], [])
    }

    mutating func forget(before horizon: Timestamp, now: Timestamp) {
        milestones.append((base + Int64(statuses.count), now))
        if !late.isEmpty { late = late.filter { $0.value.time >= horizon } }
        while let first = milestones.first, first.time < horizon {
            milestones.removeFirst()
            let gone = min(statuses.count, Int(max(0, first.offset - base)))
            statuses.removeFirst(gone)
            base += Int64(gone)
        }
    }
}
