internal import Core
internal import Kafka

/// Reads the results of partitions that are being taken over, to their end, before any of their requests is looked at.
final class LedgerRestore {
    let subject: TakeoverLookup.Subject
    private(set) var ledgers: [Int32: Ledger] = [:]
    /// What the group and the topic say of the partitions; empty until they have.
    private(set) var takeovers: [Int32: Takeover] = [:]
    private(set) var read = 0
    /// Records that are no results of ours.
    private(set) var foreign = 0
    private let kafka: ClientConfiguration
    private let callsSince: Timestamp
    private var lookup: TakeoverLookup
    private var reader: Reader?
    /// Partitions whose results are not read to their end; nil until it is known which there are.
    private var open: Set<Int32>?
    private var lookAgainAt: Duration?
    let began = Clock.uptime

    /// `callsSince`: calls answered later count for the quota.
    init(_ subject: TakeoverLookup.Subject, kafka: ClientConfiguration, callsSince: Timestamp) {
        self.subject = subject
        self.kafka = kafka
        self.callsSince = callsSince
        lookup = TakeoverLookup(kafka, subject)
    }

    /// Where reading of each partition begins: what the group has committed, else the first record there is.
    var starts: [Int32: Int64] { takeovers.mapValues { $0.committed ?? $0.requests.lowerBound } }

    /// What is known of the calls of the previous owner of all partitions.
    var previousOwner: PreviousOwner {
        guard let caller = takeovers[0], caller.committed != nil else { return .none }
        if let handover = Handover(caller.metadata) { return .handedOver(handover) }
        var last = Timestamp(milliseconds: 0)
        for (partition, takeover) in takeovers {
            let next = max(takeover.committed ?? 0, takeover.requests.lowerBound)
            guard let idleSince = ledgers[partition]?.idleSince(next..<max(next, takeover.requests.upperBound)) else {
                return .unknown(idleSince: nil)
            }
            last = max(last, idleSince)
        }
        return .unknown(idleSince: last)
    }

    /// What becomes readable when there is something to do.
    var descriptor: Int32 { reader?.descriptor ?? lookup.descriptor }
    var deadline: Duration? { lookAgainAt }
    var isDone: Bool { open?.isEmpty ?? false }

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
            ledgers = takeovers.mapValues { _ in Ledger() }
            open = Set(starts.keys)
            guard !starts.isEmpty else { return false }
            let reader = try Reader(
                kafka, topic: subject.resultsTopic, defaults: Reader.bulk, onlyHeader: LedgerEntry.header)
            try reader.read(starts.sorted { $0.key < $1.key }.map { ($0.key, .offset($0.value)) })
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
                open?.remove(partition)
                if isDone { return false }
            case .failed: continue
            case nil: return false
            }
        }
        return true
    }
}
