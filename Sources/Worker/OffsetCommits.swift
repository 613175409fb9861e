internal import Core
internal import Kafka

/// Makes all offset commits: the regular ones, the one that claims the caller role, and the last one of a partition
/// that leaves.
///
/// Only one commit is in flight at a time, so that an older one cannot be applied after a newer one. With a lease,
/// every regular commit includes partition 0. Its acknowledgement proves that the coordinator counted this worker as a
/// member when the commit was sent.
final class OffsetCommits {
    enum Outcome {
        /// The commit that claims the caller role is acknowledged. It overwrites the previous caller's metadata.
        case tookOver(PreviousOwner)
        /// A commit is acknowledged. `sentAt` is set only if the commit proves that this worker was the caller then.
        case acknowledged(sentAt: Uptime?)
        case failed(KafkaError)
        /// The last commit of these partitions is acknowledged, or has timed out. The partitions can be given up.
        case left([Int32])
    }

    private enum Purpose {
        case regular
        case last([Int32])
    }

    /// A partition that needs a last commit.
    private struct Leaving {
        /// What the next caller needs to know.
        var metadata: String?
        /// How long to wait for the commit.
        var until: Uptime
    }

    /// The next offset of each partition, and the partitions whose offset differs from the last commit.
    private var positions: [Int32: Int64] = [:]
    private var changed: Set<Int32> = []
    private var leaving: [Int32: Leaving] = [:]
    private var underWay: (id: UInt, offsets: [Int32: Int64], purpose: Purpose, sentAt: Uptime)?
    private var lastID: UInt = 0
    private var nextAt: Uptime = .zero
    private var takeover: PreviousOwner?
    /// The metadata beside partition 0's offset about earlier callers (`PreviousOwner.inherited`).
    var inherited = ""
    /// Whether this worker holds the lease or requests it.
    private var isCaller = false
    private let interval: Duration
    private static let timeout: Duration = .seconds(5)
    /// A commit without an answer for this long is given up, so that the next one can be sent. The coordinator may be
    /// gone. If the old commit is applied after the next one, some records are read again and are recognized.
    private static let patience: Duration = .seconds(3)
    private static let pause: Duration = .milliseconds(100)

    /// `interval` is the time between two regular commits.
    init(interval: Duration) { self.interval = interval }

    /// The latest time for the next `poll`.
    var deadline: Uptime? {
        let isWanted = isCaller || !changed.isEmpty || !leaving.isEmpty
        let next = isWanted ? max(nextAt, underWay.map { $0.sentAt + Self.patience } ?? .zero) : nil
        return [next, leaving.values.map(\.until).min()].compactMap { $0 }.min()
    }

    /// This worker owns these partitions from these offsets on.
    func began(_ offsets: [Int32: Int64]) {
        for (partition, offset) in offsets { positions[partition] = offset }
    }

    /// Requests the caller role. The next commit claims it.
    func takeOver(from previous: PreviousOwner, inherited: String) {
        (isCaller, takeover, nextAt) = (true, previous, .zero)
        self.inherited = inherited
        // A commit already in flight was sent before this request, so it does not count as the claim.
        underWay?.purpose = .last([])
    }

    /// Sets the next offsets to commit. With `again`, commits an offset even if it equals the last one.
    func stored(_ offsets: [Int32: Int64], again: Bool = false) {
        for (partition, offset) in offsets
        where positions[partition] != nil && (again || positions[partition] != offset) {
            positions[partition] = offset
            changed.insert(partition)
        }
    }

    /// Commits a leaving partition's offset, with what the next caller needs to know. Returns false if the partition
    /// can leave at once.
    func leave(_ partition: Int32, _ handover: Handover?, now: Uptime) -> Bool {
        guard positions[partition] != nil, handover != nil || changed.contains(partition) || isUnderWay(partition)
        else { return false }
        if partition == 0 { (isCaller, takeover) = (false, nil) }
        leaving[partition] = Leaving(
            metadata: handover?.text, until: now + Self.timeout)
        nextAt = min(nextAt, now)
        return true
    }

    private func isUnderWay(_ partition: Int32) -> Bool { underWay?.offsets[partition] != nil }

    /// This worker no longer owns the partition, whatever is in flight.
    func forget(_ partition: Int32) {
        positions[partition] = nil
        changed.remove(partition)
        leaving[partition] = nil
        if partition == 0 { (isCaller, takeover) = (false, nil) }
    }

    /// Takes the answers to commits, and sends the next commit if it is due.
    func poll(_ consumer: Consumer, now: Uptime) -> [Outcome] {
        var outcomes: [Outcome] = []
        while let (id, error) = consumer.nextCommit() {
            guard let commit = underWay, commit.id == id else { continue }
            underWay = nil
            answered(commit.offsets, commit.purpose, commit.sentAt, error, now, &outcomes)
        }
        let late = leaving.filter { $0.value.until <= now }.map(\.key)
        if !late.isEmpty {
            for partition in late { leaving[partition] = nil }
            outcomes.append(.left(late))
        }
        if let commit = underWay, now - commit.sentAt >= Self.patience {
            underWay = nil
            changed.formUnion(commit.offsets.keys.filter { positions[$0] != nil })
        }
        if underWay == nil && now >= nextAt { commit(consumer, now) }
        return outcomes
    }

    private func answered(
        _ offsets: [Int32: Int64], _ purpose: Purpose, _ sentAt: Uptime, _ error: KafkaError?, _ now: Uptime,
        _ outcomes: inout [Outcome]
    ) {
        if let error {
            changed.formUnion(offsets.keys.filter { positions[$0] != nil })
            nextAt = now + Self.pause
            outcomes.append(.failed(error))
            return
        }
        switch purpose {
        case .regular:
            // A commit sent before this worker gave up the caller role proves nothing about the role now.
            guard isCaller, offsets[0] != nil else { return outcomes.append(.acknowledged(sentAt: nil)) }
            if let previous = takeover {
                takeover = nil
                outcomes.append(.tookOver(previous))
            }
            outcomes.append(.acknowledged(sentAt: sentAt))
        case .last(let partitions):
            let gone = partitions.filter { leaving.removeValue(forKey: $0) != nil }
            outcomes.append(.acknowledged(sentAt: nil))
            if !gone.isEmpty { outcomes.append(.left(gone)) }
        }
    }

    private func commit(_ consumer: Consumer, _ now: Uptime) {
        var partitions = Set(leaving.keys)
        let isLast = !partitions.isEmpty
        if !isLast {
            partitions = changed
            if isCaller { partitions.insert(0) }
        }
        let offsets = positions.filter { partitions.contains($0.key) }
        guard !offsets.isEmpty else { return }
        lastID += 1
        nextAt = now + interval
        let error = consumer.commit(
            offsets.map { ($0.key, $0.value, leaving[$0.key]?.metadata ?? ($0.key == 0 ? inherited : "")) }, id: lastID)
        guard error == nil else { return nextAt = now + Self.pause }
        changed.subtract(offsets.keys)
        underWay = (lastID, offsets, isLast ? .last(Array(partitions)) : .regular, now)
    }
}
