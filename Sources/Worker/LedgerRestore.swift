internal import Core
internal import Kafka

/// Reads the results of partitions that are being taken over, to their end, before any of their requests is looked at.
final class LedgerRestore {
    let subject: TakeoverLookup.Subject
    private(set) var ledgers: [Int32: Ledger]
    /// What the group and the topic say of the partitions; empty until they have.
    private(set) var takeovers: [Int32: Takeover] = [:]
    private(set) var read = 0
    /// Records that are no results of ours.
    private(set) var foreign = 0
    private let kafka: ClientConfiguration
    private let callsSince: Timestamp
    private var lookup: TakeoverLookup
    private var reader: Reader?
    private var open: Set<Int32>
    private var lookAgainAt: Duration?
    let began = Clock.uptime

    /// `callsSince`: calls answered later count for the quota.
    init(_ subject: TakeoverLookup.Subject, kafka: ClientConfiguration, callsSince: Timestamp) {
        self.subject = subject
        self.kafka = kafka
        self.callsSince = callsSince
        open = Set(subject.partitions)
        ledgers = Dictionary(uniqueKeysWithValues: subject.partitions.map { ($0, Ledger()) })
        lookup = TakeoverLookup(kafka, subject)
    }

    /// What is known of the calls of each partition's last owner.
    var claims: [Int32: Claim] {
        takeovers.reduce(into: [:]) { claims, entry in
            let (partition, takeover) = entry
            guard let committed = takeover.committed else { return claims[partition] = .fresh }
            if let handover = Handover(takeover.metadata) { return claims[partition] = .handedOver(handover) }
            let open = max(committed, takeover.requests.lowerBound)..<max(committed, takeover.requests.upperBound)
            claims[partition] = .unknown(idleSince: ledgers[partition]?.idleSince(open))
        }
    }

    /// What becomes readable when there is something to do.
    var descriptor: Int32 { reader?.descriptor ?? lookup.descriptor }
    var deadline: Duration? { lookAgainAt }
    var isDone: Bool { open.isEmpty }

    /// Does what can be done now, so much at most. True where there is more to do at once; throws what delays it, which is
    /// tried again.
    func turn(budget: Int) throws(KafkaError) -> Bool {
        if let reader { return drain(reader, budget) }
        if let at = lookAgainAt {
            guard Clock.uptime >= at else { return false }
            lookAgainAt = nil
            // Made before the old one goes, so that its descriptor is not the old one's number.
            lookup = TakeoverLookup(kafka, subject)
        }
        guard let answer = lookup.take() else { return false }
        do throws(KafkaError) {
            takeovers = try answer.get()
            let starts = takeovers.compactMapValues(\.resultsFrom)
            open.formIntersection(starts.keys)
            guard !open.isEmpty else { return false }
            let reader = try Reader(
                kafka, topic: subject.resultsTopic, defaults: Reader.bulk, onlyHeader: LedgerEntry.header)
            try reader.read(open.sorted().map { ($0, .offset(starts[$0] ?? 0)) })
            self.reader = reader
            return true
        } catch {
            lookAgainAt = Clock.uptime + .seconds(1)
            throw error
        }
    }

    private func drain(_ reader: Reader, _ budget: Int) -> Bool {
        reader.acknowledge()
        let now = Clock.wall
        for _ in 0..<budget {
            switch reader.next() {
            case .record(let record):
                read += 1
                guard let entry = LedgerEntry(record), entry.position.partition == record.position.partition else {
                    foreign += 1
                    continue
                }
                ledgers[entry.position.partition]?.restore(entry, callsSince: callsSince, now: now)
            case .end(let partition):
                open.remove(partition)
                if open.isEmpty { return false }
            case .failed: continue
            case nil: return false
            }
        }
        return true
    }
}
