internal import Core
internal import Kafka

/// The offsets that are committed by name, beside those that the library commits from what was stored: one when a partition
/// is taken over, which wipes the text that its last owner left, and one, with a text, when it is given up in order.
///
/// A claim comes before the first call, so that no owner can have made calls and gone without a trace.
final class Claims {
    private enum Commit {
        case claim([Int32: Claim])
        case handover([Int32])
    }

    /// Where each partition stands: what was committed last, or stored since.
    private var positions: [Int32: Int64] = [:]
    private var underWay: [UInt: Commit] = [:]
    private var lastID: UInt = 0
    private var toClaim: [Int32: Claim] = [:]
    private var claimAgainAt: Duration?
    /// Partitions whose handover is under way, and until when it is waited for.
    private var leaving: [Int32: Duration] = [:]
    private static let patience: Duration = .seconds(2)

    /// When `turn` is wanted at the latest.
    var deadline: Duration? { [claimAgainAt, leaving.values.min()].compactMap { $0 }.min() }

    func took(_ partition: Int32, at offset: Int64, _ claim: Claim) {
        positions[partition] = offset
        toClaim[partition] = claim
        claimAgainAt = .zero
    }

    func stored(_ offsets: [Int32: Int64]) {
        for (partition, offset) in offsets where positions[partition] != nil { positions[partition] = offset }
    }

    /// Begins to commit what the next owners have to know. Those for which that is not possible are given back.
    func handOver(_ handovers: [(partition: Int32, handover: Handover)], _ consumer: Consumer, now: Duration) -> [Int32]
    {
        let known = handovers.filter { positions[$0.partition] != nil }
        for (partition, _) in handovers { toClaim[partition] = nil }
        let entries = known.map { ($0.partition, positions[$0.partition] ?? 0, $0.handover.text) }
        lastID += 1
        guard !known.isEmpty, consumer.commit(entries, id: lastID) == nil else { return handovers.map(\.partition) }
        underWay[lastID] = .handover(known.map(\.partition))
        for (partition, _) in known { leaving[partition] = now + Self.patience }
        return handovers.map(\.partition).filter { leaving[$0] == nil }
    }

    /// A partition is ours no more, whatever was under way.
    func forget(_ partition: Int32) {
        positions[partition] = nil
        toClaim[partition] = nil
        leaving[partition] = nil
    }

    /// What has come of commits: partitions whose claim stands, and those that may go now.
    func turn(_ consumer: Consumer, now: Duration) -> (claimed: [Int32: Claim], gone: [Int32]) {
        var claimed: [Int32: Claim] = [:]
        var gone: [Int32] = []
        while let (id, error) = consumer.nextCommit() {
            switch underWay.removeValue(forKey: id) {
            case .claim(let claims):
                let ours = claims.filter { positions[$0.key] != nil && leaving[$0.key] == nil }
                if error == nil {
                    claimed.merge(ours) { $1 }
                } else {
                    toClaim.merge(ours) { $1 }
                    claimAgainAt = now + .seconds(1)
                }
            case .handover(let partitions): gone += partitions.filter { leaving.removeValue(forKey: $0) != nil }
            case nil: break
            }
        }
        for (partition, until) in leaving where until <= now {
            leaving[partition] = nil
            gone.append(partition)
        }
        if let at = claimAgainAt, at <= now { claim(consumer, now) }
        return (claimed, gone)
    }

    private func claim(_ consumer: Consumer, _ now: Duration) {
        claimAgainAt = nil
        guard !toClaim.isEmpty else { return }
        lastID += 1
        guard consumer.commit(toClaim.keys.map { ($0, positions[$0] ?? 0, "") }, id: lastID) == nil else {
            claimAgainAt = now + .seconds(1)
            return
        }
        underWay[lastID] = .claim(toClaim)
        toClaim = [:]
    }
}
