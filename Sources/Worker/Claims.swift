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

    /// A partition whose last commit is under way.
    private struct Leaving {
        /// What the next owner has to know.
        var text: String
        /// Until when the commit is waited for.
        var until: Duration
        /// When it is made (again); nil while it is under way.
        var dueAt: Duration?
    }

    /// Where each partition stands: what was committed last, or stored since.
    private var positions: [Int32: Int64] = [:]
    private var underWay: [UInt: Commit] = [:]
    private var lastID: UInt = 0
    private var toClaim: [Int32: Claim] = [:]
    private var claimAgainAt: Duration?
    private var leaving: [Int32: Leaving] = [:]
    private static let patience: Duration = .seconds(2)
    private static let pause: Duration = .milliseconds(100)

    /// When `turn` is wanted at the latest.
    var deadline: Duration? {
        [claimAgainAt, leaving.values.map { $0.dueAt ?? $0.until }.min()].compactMap { $0 }.min()
    }

    /// `claim`: nil where there is no quota to share.
    func took(_ partition: Int32, at offset: Int64, _ claim: Claim?) {
        positions[partition] = offset
        guard let claim else { return }
        toClaim[partition] = claim
        claimAgainAt = .zero
    }

    func stored(_ offsets: [Int32: Int64]) {
        for (partition, offset) in offsets where positions[partition] != nil { positions[partition] = offset }
    }

    /// Commits where a partition stands before it goes, with what the next owner has to know. False where it can go at once.
    func handOver(_ partition: Int32, _ text: String, now: Duration) -> Bool {
        guard positions[partition] != nil else { return false }
        toClaim[partition] = nil
        leaving[partition] = Leaving(text: text, until: now + Self.patience, dueAt: now)
        return true
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
            case .handover(let partitions) where error == nil:
                gone += partitions.filter { leaving.removeValue(forKey: $0) != nil }
            case .handover(let partitions): for partition in partitions { leaving[partition]?.dueAt = now + Self.pause }
            case nil: break
            }
        }
        for (partition, entry) in leaving where entry.until <= now {
            leaving[partition] = nil
            gone.append(partition)
        }
        handOverWhatIsDue(consumer, now)
        if let at = claimAgainAt, at <= now { claim(consumer, now) }
        return (claimed, gone)
    }

    private func handOverWhatIsDue(_ consumer: Consumer, _ now: Duration) {
        let due = leaving.filter { $0.value.dueAt.map { $0 <= now } ?? false }
        guard !due.isEmpty else { return }
        lastID += 1
        let isAsked = consumer.commit(due.map { ($0.key, positions[$0.key] ?? 0, $0.value.text) }, id: lastID) == nil
        if isAsked { underWay[lastID] = .handover(Array(due.keys)) }
        for partition in due.keys { leaving[partition]?.dueAt = isAsked ? nil : now + Self.pause }
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
