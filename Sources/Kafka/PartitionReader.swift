internal import CRdkafka
package import Core

package enum ReaderEvent {
    case record(Record)
    /// The reader has reached the end that the partition had at that moment.
    case end(Int32)
    case failed(KafkaError)
}

/// Reads whole partitions of one topic, outside any consumer group.
package final class PartitionReader {
    package enum Start: Sendable {
        case beginning, end
        case offset(Int64)

        fileprivate var value: Int64 {
            switch self {
            case .beginning: Int64(RD_KAFKA_OFFSET_BEGINNING)
            case .end: Int64(RD_KAFKA_OFFSET_END)
            case .offset(let offset): offset
            }
        }
    }

    /// Settings for reading many records to the end. The read-ahead is bounded, and fetching continues as soon as
    /// records are taken.
    ///
    /// librdkafka stops fetching at this many waiting messages and checks again after a second, long after all of them
    /// were taken. Since 2.2 that pause can be set (`fetch.queue.backoff.ms`, CONFIGURATION.md). Before 2.2, only
    /// broker traffic wakes the thread that would check, and metadata is the cheapest traffic.
    package static var bulk: [(String, String)] {
        [
            ("queued.min.messages", "25000"),
            rd_kafka_version() >= 0x0202_0000
                ? ("fetch.queue.backoff.ms", "10") : ("topic.metadata.refresh.interval.ms", "20"),
        ]
    }

    /// librdkafka needs a group name even for a reader without a group, and looks up its coordinator. That lookup needs
    /// a right, but nobody has to grant it, because nothing depends on the answer.
    package static let namelessGroup = "plugin-starter-reader"

    private let client: Client
    private let topic: String
    private let group: String
    private let onlyHeader: String?

    /// With `onlyHeader`, only that header of each record is copied. `group` is the group whose committed offsets can
    /// be queried.
    package init(
        _ configuration: ClientConfiguration, topic: String, group: String = namelessGroup,
        defaults: [(String, String)] = [], onlyHeader: String? = nil
    ) throws(KafkaError) {
        self.group = group
        self.onlyHeader = onlyHeader
        let conf = unsafe try configuration.make(
            defaults: [("fetch.wait.max.ms", "50"), ("allow.auto.create.topics", "false")] + defaults,
            required: [
                ("group.id", group), ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"), ("auto.offset.reset", "earliest"),
                ("enable.partition.eof", "true"),
            ])
        client = unsafe try Client(.consumer, conf: conf, events: 0)
        self.topic = topic
    }

    package var descriptor: Int32 { client.descriptor }
    package func acknowledge() { client.acknowledge() }

    /// Reads these partitions from these positions, in place of the previous ones.
    package func read(_ starts: [(partition: Int32, start: Start)]) throws(KafkaError) {
        let list = TopicPartitions(topic: topic, offsets: starts.map { ($0.partition, $0.start.value) })
        let code = unsafe rd_kafka_assign(client.handle, list.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
    }

    /// The first offset of each partition at or after the time. Partitions without one are absent. Blocks, so the loop
    /// must not call it.
    package func firstOffsets(
        at time: Timestamp, _ partitions: [Int32], milliseconds: Int32
    ) throws(KafkaError) -> [Int32: Int64] {
        let list = TopicPartitions(topic: topic, offsets: partitions.map { ($0, time.milliseconds) })
        let code = unsafe rd_kafka_offsets_for_times(client.handle, list.list, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        var found: [Int32: Int64] = [:]
        for entry in list.entries where entry.offset >= 0 { found[entry.partition] = entry.offset }
        return found
    }

    /// The start positions for reading from a time. A partition without a record at or after the time starts at its
    /// end. It starts at the beginning if the cluster cannot look up offsets by time (librdkafka's mock), so the reader
    /// must check the records' times. Blocks, so the loop must not call it.
    package func offsets(
        at time: Timestamp, _ partitions: [Int32], milliseconds: Int32
    ) throws(KafkaError) -> [(partition: Int32, start: Start)] {
        let found = try firstOffsets(at: time, partitions, milliseconds: milliseconds)
        // Without a record at any time, the partition is empty or the cluster does not look up times.
        let ever =
            found.count < partitions.count
            ? try firstOffsets(at: Timestamp(milliseconds: 0), partitions, milliseconds: milliseconds) : [:]
        return partitions.map { partition in
            (partition, found[partition].map(Start.offset) ?? (ever[partition] == nil ? .beginning : .end))
        }
    }

    /// The offset and metadata that the group has committed for each partition. Partitions without a commit are absent.
    /// Blocks, so the loop must not call it.
    package func committed(
        _ partitions: [Int32], milliseconds: Int32
    ) throws(KafkaError) -> [Int32: (offset: Int64, metadata: String)] {
        let list = TopicPartitions(topic: topic, partitions)
        let code = unsafe rd_kafka_committed(client.handle, list.list, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        var found: [Int32: (offset: Int64, metadata: String)] = [:]
        for (index, entry) in list.entries.enumerated() {
            guard entry.error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(entry.error) }
            if entry.offset >= 0 { found[entry.partition] = (entry.offset, list.metadata(index)) }
        }
        return found
    }

    /// The topic's current partition count. Blocks, so the loop must not call it.
    package func partitionCount(milliseconds: Int32) throws(KafkaError) -> Int {
        guard let (error, partitions) = try client.metadata(of: topic, milliseconds: milliseconds).topic else {
            throw KafkaError.missing(topic)
        }
        guard error == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(error) }
        return partitions
    }

    /// The first offset and the end of a partition, queried from its leader. Blocks, so the loop must not call it.
    package func range(_ partition: Int32, milliseconds: Int32) throws(KafkaError) -> Range<Int64> {
        var (low, high): (Int64, Int64) = (0, 0)
        let code = unsafe rd_kafka_query_watermark_offsets(client.handle, topic, partition, &low, &high, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        return low..<max(low, high)
    }

    /// The next event within the time, or nil.
    package func next(milliseconds: Int32 = 0) -> ReaderEvent? {
        while let event = unsafe client.poll(milliseconds: milliseconds) {
            defer { unsafe rd_kafka_event_destroy(event) }
            switch unsafe rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_FETCH:
                guard let message = unsafe rd_kafka_event_message_next(event) else { continue }
                switch unsafe message.pointee.err {
                case RD_KAFKA_RESP_ERR_NO_ERROR:
                    if let onlyHeader { return unsafe .record(Record(message, onlyHeader: onlyHeader)) }
                    return unsafe .record(Record(message))
                case RD_KAFKA_RESP_ERR__PARTITION_EOF: return unsafe .end(message.pointee.partition)
                default:
                    return unsafe .failed(client.error(message.pointee.err, text: rd_kafka_message_errstr(message)))
                }
            case RD_KAFKA_EVENT_ERROR:
                if let end = unsafe client.end(in: event) { return .end(end.partition) }
                let error = unsafe client.error(in: event)
                if error.right == .group && group == Self.namelessGroup { continue }
                return .failed(error)
            default: continue
            }
        }
        return nil
    }
}
