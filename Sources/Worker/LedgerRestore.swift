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
    /// What keeps results from being read: the last error since something was read.
    private(set) var failure: KafkaError?
    private var unreported: KafkaError?
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
        lookup = TakeoverLookup(kafka, subject)
    }

    /// What is known of the calls of each partition's last owner.
    var claims: [Int32: Claim] {
        takeovers.reduce(into: [:]) { claims, entry in
            let (partition, takeover) = entry
            guard let committed = takeover.committed else { return claims[partition] = .fresh }
            if let handover = Handover(takeover.metadata) { return claims[partition] = .handedOver(handover) }
            // Deleted requests count: a call may be under way for one.
            let open = committed..<max(committed, takeover.requests.upperBound)
            let idleSince = takeover.isBeyondEnd ? nil : ledgers[partition]?.idleSince(open)
            claims[partition] = .unknown(idleSince: idleSince)
        }
    }

    /// What becomes readable when there is something to do.
    var descriptor: Int32 { reader?.descriptor ?? lookup.descriptor }
    var deadline: Duration? { lookAgainAt }
    var isDone: Bool { open.isEmpty }

    /// Does what can be done now, so much at most. True where there is more to do at once; throws what delays it, which is
    /// tried again.
    func turn(budget: Int) throws(KafkaError) -> Bool {
        if let reader { return try drain(reader, budget) }
        if let at = lookAgainAt {
            guard Clock.uptime >= at else { return false }
            lookAgainAt = nil
            // Made before the old one goes, so that its descriptor is not the old one's number.
            lookup = TakeoverLookup(kafka, subject)
        }
        guard let answer = lookup.take() else { return false }
        do throws(KafkaError) {
            takeovers = try answer.get()
            for (partition, takeover) in takeovers {
                let from = takeover.deleted?.lowerBound ?? takeover.start
                ledgers[partition] = Ledger(
                    topic: subject.requestsTopic, records: from..<max(from, takeover.requests.upperBound))
            }
            failure = nil
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
            failure = error
            throw error
        }
    }

    private func drain(_ reader: Reader, _ budget: Int) throws(KafkaError) -> Bool {
        reader.acknowledge()
        let now = Clock.wall
        for _ in 0..<budget {
            switch reader.next() {
            case .record(let record):
                read += 1
                failure = nil
                guard let entry = LedgerEntry(record), entry.position.partition == record.position.partition else {
                    foreign += 1
                    continue
                }
                ledgers[entry.position.partition]?.restore(entry, callsSince: callsSince, now: now)
            case .end(let partition):
                open.remove(partition)
                if open.isEmpty { return false }
            // The library tries again by itself. Thrown when the queue is empty: its descriptor is not readable again before.
            case .failed(let error): (failure, unreported) = (error, error)
            case nil:
                defer { unreported = nil }
                if let unreported { throw unreported }
                return false
            }
        }
        return true
    }
}
