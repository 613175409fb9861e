internal import Core
internal import Kafka

/// Reads the results of partitions during a takeover, to their end, before processing any of their requests.
final class LedgerRestore {
    let subject: TakeoverLookup.Subject
    private(set) var ledgers: [Int32: Ledger] = [:]
    /// What the group and the topic report about the partitions. Empty until both have answered.
    private(set) var takeovers: [Int32: Takeover] = [:]
    private(set) var read = 0
    /// Records that are not results of this program.
    private(set) var foreign = 0
    /// The error that blocks reading: the last one since a result was read.
    private(set) var failure: KafkaError?
    private var unreported: KafkaError?
    private let kafka: ClientConfiguration
    private var lookup: TakeoverLookup
    private var reader: PartitionReader?
    /// Partitions whose results are not yet read to their end. Nil until the partitions are known.
    private var open: Set<Int32>?
    private var lookAgainAt: Uptime?
    let began = Clock.uptime

    init(_ subject: TakeoverLookup.Subject, kafka: ClientConfiguration) {
        self.subject = subject
        self.kafka = kafka
        lookup = TakeoverLookup(kafka, subject)
    }

    /// What is known about the calls of the previous owner of all partitions.
    var previousOwner: PreviousOwner {
        PreviousOwner(
            metadata: takeovers[0].flatMap { $0.committed == nil ? nil : $0.metadata },
            takeovers.map { partition, takeover in
                .init(
                    committed: takeover.committed, requests: takeover.requests, hasResults: takeover.resultsFrom != nil,
                    ledger: ledgers[partition])
            })
    }

    /// Releases the reader without waiting for its threads.
    func end() { Disposal.dispose(of: &reader) }

    /// Becomes readable when there is work to do.
    var descriptor: Int32 { reader?.descriptor ?? lookup.descriptor }
    var deadline: Uptime? { lookAgainAt }
    var isDone: Bool { open?.isEmpty ?? false }

    /// Does the work that is possible now, up to `budget` records. Returns true if more can be done at once. Throws the
    /// error that delays the work; the work is retried.
    func turn(budget: Int, now: Timestamp) throws(KafkaError) -> Bool {
        if let reader { return try drain(reader, budget, now) }
        if let at = lookAgainAt {
            guard Clock.uptime >= at else { return false }
            lookAgainAt = nil
            // Create the new lookup before the old one is released, so that its descriptor does not reuse the old
            // number.
            lookup = TakeoverLookup(kafka, subject)
        }
        guard let answer = lookup.take() else { return false }
        do throws(KafkaError) {
            takeovers = try answer.get()
            for (partition, takeover) in takeovers {
                let from = takeover.deleted?.lowerBound ?? takeover.start
                ledgers[partition] = Ledger(
                    topic: subject.requestsTopic, records: from..<max(from, takeover.requests.upperBound),
                    start: takeover.start)
            }
            failure = nil
            let starts = takeovers.compactMapValues(\.resultsFrom)
            open = Set(starts.keys)
            guard !starts.isEmpty else { return false }
            let reader = try PartitionReader(
                kafka, topic: subject.resultsTopic, defaults: PartitionReader.bulk, onlyHeader: LedgerEntry.header)
            try reader.read(starts.sorted { $0.key < $1.key }.map { ($0.key, .offset($0.value)) })
            self.reader = reader
            return true
        } catch {
            lookAgainAt = Clock.uptime + .seconds(1)
            failure = error
            throw error
        }
    }

    private func drain(_ reader: PartitionReader, _ budget: Int, _ now: Timestamp) throws(KafkaError) -> Bool {
        reader.acknowledge()
        for _ in 0..<budget {
            switch reader.next() {
            case .record(let record):
                read += 1
                failure = nil
                guard let entry = LedgerEntry(record), entry.position.partition == record.position.partition else {
                    foreign += 1
                    continue
                }
                ledgers[entry.position.partition]?.restore(entry, now: now)
            case .end(let partition):
                open?.remove(partition)
                if isDone { return false }
            // librdkafka retries by itself. Throw only once the queue is empty, because the descriptor does not become
            // readable again before that.
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
