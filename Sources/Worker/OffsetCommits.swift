internal import Core
internal import Kafka

/// All commits of offsets: regular ones, the one that takes the caller's place, and the last one of a partition that goes.
///
/// One is under way at a time, so that no older one can be applied after a newer one. With a lease partition 0 is committed in
/// each of them: the acknowledgement shows that the coordinator counted this worker as a member when the commit was sent.
final class OffsetCommits {
    enum Outcome {
        /// The commit that takes the caller's place is acknowledged; what the previous caller left is overwritten.
        case tookOver(PreviousOwner)
        /// A commit is acknowledged. `sentAt`, by uptime, where that shows that this worker was the caller then.
        case acknowledged(sentAt: Duration?)
        case failed(KafkaError)
        /// The last commit of these partitions is acknowledged, or its time is over: they can be given up.
        case left([Int32])
    }

    private enum Purpose {
        case regular
        case last([Int32])
    }

    /// A partition whose last commit is wanted.
    private struct Leaving {
        /// What the next caller has to know.
        var metadata: String
        /// Until when the commit is waited for.
        var until: Duration
    }

    /// Where each partition stands, and which of them differ from what was committed last.
    private var positions: [Int32: Int64] = [:]
    private var changed: Set<Int32> = []
    private var leaving: [Int32: Leaving] = [:]
    private var underWay: (id: UInt, offsets: [Int32: Int64], purpose: Purpose, sentAt: Duration)?
    private var lastID: UInt = 0
    private var nextAt: Duration = .zero
    private var takeover: PreviousOwner?
    /// What is said beside partition 0's offset of the callers before this one (`PreviousOwner.inherited`).
    var inherited = ""
    /// Whether this worker holds the lease, or asks for it.
    private var isCaller = false
    private let interval: Duration
    private static let timeout: Duration = .seconds(5)
    /// A commit that is not answered for so long is given up, so that the next one can go: the coordinator may be gone. Should it
    /// be applied after the next one, records are read again, and are known.
    private static let patience: Duration = .seconds(3)
    private static let pause: Duration = .milliseconds(100)

    /// `interval`: between two regular commits.
    init(interval: Duration) { self.interval = interval }

    /// When `poll` is wanted at the latest.
    var deadline: Duration? {
        let isWanted = isCaller || !changed.isEmpty || !leaving.isEmpty
        let next = isWanted ? max(nextAt, underWay.map { $0.sentAt + Self.patience } ?? .zero) : nil
        return [next, leaving.values.map(\.until).min()].compactMap { $0 }.min()
    }

    /// These partitions are ours, from these offsets on.
    func began(_ offsets: [Int32: Int64]) {
        for (partition, offset) in offsets { positions[partition] = offset }
    }

    /// Asks for the caller's place: the next commit says so.
    func takeOver(from previous: PreviousOwner, inherited: String) {
        (isCaller, takeover, nextAt) = (true, previous, .zero)
        self.inherited = inherited
        // A commit that is under way was sent before.
        underWay?.purpose = .last([])
    }

    /// The next offsets to commit. `again`: also where that is what was committed before.
    func stored(_ offsets: [Int32: Int64], again: Bool = false) {
        for (partition, offset) in offsets
        where positions[partition] != nil && (again || positions[partition] != offset) {
            positions[partition] = offset
            changed.insert(partition)
        }
    }

    /// Commits where a partition stands before it goes, with what the next caller has to know. False where it can go at once.
    func leave(_ partition: Int32, _ handover: Handover?, now: Duration) -> Bool {
        guard positions[partition] != nil, handover != nil || changed.contains(partition) || isUnderWay(partition)
        else { return false }
        if partition == 0 { (isCaller, takeover) = (false, nil) }
        leaving[partition] = Leaving(
            metadata: handover?.text ?? (partition == 0 ? inherited : ""), until: now + Self.timeout)
        nextAt = min(nextAt, now)
        return true
    }

    private func isUnderWay(_ partition: Int32) -> Bool { underWay?.offsets[partition] != nil }

    /// A partition is ours no more, whatever was under way.
    func forget(_ partition: Int32) {
        positions[partition] = nil
        changed.remove(partition)
        leaving[partition] = nil
        if partition == 0 { (isCaller, takeover) = (false, nil) }
    }

    /// Takes the answers to commits, and sends the next one where it is due.
    func poll(_ consumer: Consumer, now: Duration) -> [Outcome] {
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
        _ offsets: [Int32: Int64], _ purpose: Purpose, _ sentAt: Duration, _ error: KafkaError?, _ now: Duration,
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
            // One that was sent before the place was given up says nothing about it now.
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

    private func commit(_ consumer: Consumer, _ now: Duration) {
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
