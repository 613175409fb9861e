internal import Core
internal import Kafka
internal import Settings
internal import Worker

/// Reads the results topic for a command.
nonisolated struct ResultStream {
    private let reader: PartitionReader
    private let kafka: ClientConfiguration
    private let topic: String
    private let partitions: [Int32]
    private let since: Timestamp?

    init(_ settings: Settings, _ kafka: ClientConfiguration, start: PartitionReader.Start, since: Duration? = nil)
        throws(CommandFailure)
    {
        let topic = settings.value(SettingTable.resultsTopic)
        self.kafka = kafka
        self.topic = topic
        self.since = since.map { Clock.wall + (.zero - $0) }
        partitions = (0..<Int32(try Topics.partitions(topic, kafka))).map { $0 }
        do throws(KafkaError) {
            reader = try PartitionReader(kafka, topic: topic)
            var starts: [(partition: Int32, start: PartitionReader.Start)] = []
            if let since = self.since {
                starts = try reader.offsets(at: since, partitions, milliseconds: 10_000)
            } else {
                for partition in partitions {
                    // The end is pinned now, so that records that arrive before the first fetch are not skipped.
                    if case .end = start {
                        let end = try reader.range(partition, milliseconds: 10_000).upperBound
                        starts.append((partition, .offset(end)))
                    } else {
                        starts.append((partition, start))
                    }
                }
            }
            try reader.read(starts)
        } catch {
            throw Topics.failure(error, kafka, topic: topic)
        }
    }

    enum Event {
        case result(Record, LedgerEntry)
        /// The partition was read to the end that it had at that moment.
        case end(Int32)
    }

    /// The next result or end, within that time. Records that are not results of the worker are left out.
    func next(milliseconds: Int32) throws(CommandFailure) -> Event? {
        switch reader.next(milliseconds: milliseconds) {
        case .record(let record):
            if let since, let time = record.timestamp, time < since { return nil }
            return LedgerEntry(record).map { .result(record, $0) }
        case .end(let partition): return .end(partition)
        case .failed(let error):
            if [.notPermitted, .insecure, .missing].contains(error.kind) {
                throw Topics.failure(error, kafka, topic: topic)
            }
            return nil
        case nil: return nil
        }
    }

    /// Passes every result on until `isOver`, or (`toEnd`) until each partition was read to its end.
    func read(
        toEnd: Bool = false, until isOver: () -> Bool, _ take: (Record, JSON) -> Void
    ) throws(CommandFailure) {
        var ended: Set<Int32> = []
        while !isOver() {
            switch try next(milliseconds: 50) {
            case .result(let record, _):
                if let json = record.value.flatMap({ try? JSON(parsing: $0) }) { take(record, json) }
            case .end(let partition):
                ended.insert(partition)
                if toEnd && ended.count == partitions.count { return }
            case nil: break
            }
        }
    }
}
