internal import Core
internal import Kafka

/// Reads the results of partitions that are being taken over, to their end, before any of their requests is looked at.
final class LedgerRestore {
    let partitions: [Int32]
    private(set) var ledgers: [Int32: Ledger]
    private(set) var read = 0
    /// Records that are no results of ours.
    private(set) var foreign = 0
    private let kafka: ClientConfiguration
    private let topic: String
    private let since: Timestamp
    private let callsSince: Timestamp
    private var lookup: OffsetLookup
    private var reader: Reader?
    private var open: Set<Int32>
    private var lookAgainAt: Duration?
    let began = Clock.uptime

    /// `window`: results older than that are not read. `callsWindow`: how far back calls count for the quota.
    init(
        _ partitions: [Int32], kafka: ClientConfiguration, topic: String, window: Duration, callsWindow: Duration
    ) {
        self.partitions = partitions
        self.kafka = kafka
        self.topic = topic
        let now = Clock.wall
        since = now + (.zero - window)
        callsSince = now + (.zero - callsWindow)
        open = Set(partitions)
        ledgers = Dictionary(uniqueKeysWithValues: partitions.map { ($0, Ledger()) })
        lookup = OffsetLookup(kafka, topic: topic, partitions, at: since)
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
            lookup = OffsetLookup(kafka, topic: topic, partitions, at: since)
        }
        guard let answer = lookup.take() else { return false }
        do throws(KafkaError) {
            let starts = try answer.get()
            open.formIntersection(starts.keys)
            guard !open.isEmpty else { return false }
            let reader = try Reader(
                kafka, topic: topic, defaults: Reader.bulk, onlyHeader: LedgerEntry.header)
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
