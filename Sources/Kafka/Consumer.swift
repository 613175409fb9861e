internal import CRdkafka
package import Core

/// What the group's consumer reports. A rebalance is a question: `assigned` is answered by `accept()`, `revoked` by
/// `release(_:)`; until then the group waits for this member.
package enum ConsumerEvent {
    case record(Record)
    /// All before this offset was handed over.
    case reachedEnd(Position)
    case assigned([Int32])
    case revoked([Int32], isLost: Bool)
    /// Offsets were not committed; normal during a rebalance, and tried again with the next ones.
    case commitFailed(KafkaError)
    case failed(KafkaError)
    case log(LibraryLog)
}

/// A member of the consumer group that reads the requests topic. Nothing here blocks.
@safe package final class Consumer {
    private let client: Client
    private let topic: String
    private let topicHandle: OpaquePointer?
    /// Results of commits that were asked for by name.
    private let commits: OpaquePointer
    private var toAssign: [Int32]?
    private var toRevoke: Set<Int32>?
    private var revoking: [Int32] = []
    /// Resuming a partition that is not paused makes librdkafka before 2.4.0 read it again, for ever: only these may be.
    private var paused: Set<Int32> = []
    package private(set) var assignment: Set<Int32> = []

    package init(_ configuration: ClientConfiguration, topic: String, group: String) throws(KafkaError) {
        let conf = unsafe try configuration.make(
            defaults: [
                // Cooperative assignment has faults in librdkafka before 2.6; range moves partitions in one round.
                ("partition.assignment.strategy", "range"), ("auto.commit.interval.ms", "1000"),
                // More than a second of work: a full queue makes the library wait a whole second before it fetches on.
                ("queued.min.messages", "20000"), ("queued.max.messages.kbytes", "32768"),
                ("fetch.wait.max.ms", "100"),
            ],
            required: [
                ("group.id", group), ("enable.auto.commit", "true"), ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "earliest"), ("enable.partition.eof", "true"),
                ("allow.auto.create.topics", "false"),
            ])
        client = unsafe try Client(
            .consumer, conf: conf, events: RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT)
        self.topic = topic
        unsafe topicHandle = unsafe rd_kafka_topic_new(client.handle, topic, nil)
        unsafe commits = unsafe rd_kafka_queue_new(client.handle)
        var one: UInt64 = 1
        unsafe rd_kafka_queue_io_event_enable(commits, client.descriptor, &one, MemoryLayout<UInt64>.size)
    }

    deinit {
        unsafe rd_kafka_queue_io_event_enable(commits, -1, nil, 0)
        unsafe rd_kafka_queue_destroy(commits)
        if let handle = unsafe topicHandle { unsafe rd_kafka_topic_destroy(handle) }
    }

    package var descriptor: Int32 { client.descriptor }
    package func acknowledge() { client.acknowledge() }

    /// Joins the group.
    package func subscribe() throws(KafkaError) {
        let topics = TopicPartitions(topic: topic, [-1])
        let code = unsafe rd_kafka_subscribe(client.handle, topics.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
    }

    /// Leaves the group and joins it again: all partitions are revoked, and given out anew.
    package func rejoin() throws(KafkaError) {
        let code = unsafe rd_kafka_unsubscribe(client.handle)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        try subscribe()
    }

    /// The next event, or nil where there is none now.
    package func next() -> ConsumerEvent? {
        while let event = unsafe client.poll() {
            defer { unsafe rd_kafka_event_destroy(event) }
            if let read = unsafe read(event) { return read }
        }
        return nil
    }

    private func read(_ event: OpaquePointer) -> ConsumerEvent? {
        switch unsafe rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_FETCH:
            guard let message = unsafe rd_kafka_event_message_next(event) else { return nil }
            guard unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                return unsafe .failed(client.error(message.pointee.err, text: rd_kafka_message_errstr(message)))
            }
            return unsafe .record(Record(message))
        case RD_KAFKA_EVENT_REBALANCE: return unsafe rebalance(event)
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            let code = unsafe rd_kafka_event_error(event)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR__NO_OFFSET else { return nil }
            return .commitFailed(KafkaError(code))
        case RD_KAFKA_EVENT_ERROR:
            if let end = unsafe client.end(in: event) { return .reachedEnd(end) }
            return unsafe .failed(client.error(in: event))
        case RD_KAFKA_EVENT_LOG: return unsafe .log(LibraryLog(event))
        default: return nil
        }
    }

    private func rebalance(_ event: OpaquePointer) -> ConsumerEvent {
        guard let list = unsafe rd_kafka_event_topic_partition_list(event) else { return .revoked([], isLost: false) }
        let numbers = unsafe TopicPartitions.numbers(list)
        if unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            toAssign = numbers
            return .assigned(numbers)
        }
        toRevoke = Set(numbers)
        revoking = numbers
        return unsafe .revoked(numbers, isLost: rd_kafka_assignment_lost(client.handle) != 0)
    }

    /// The library has no answer (a null pointer) once the consumer is closing.
    private var isCooperative: Bool {
        let name: UnsafePointer<CChar>? = unsafe rd_kafka_rebalance_protocol(client.handle)
        return unsafe name.map { unsafe String(cString: $0) == "COOPERATIVE" } ?? false
    }

    /// Answers `assigned`: fetching begins at these offsets, else at the committed ones, else at the beginning.
    package func accept(from starts: [Int32: Int64] = [:]) throws(KafkaError) {
        guard let numbers = toAssign else { return }
        toAssign = nil
        let list = TopicPartitions(
            topic: topic, offsets: numbers.map { ($0, starts[$0] ?? Int64(RD_KAFKA_OFFSET_INVALID)) })
        if isCooperative {
            if let error = unsafe rd_kafka_incremental_assign(client.handle, list.list) {
                throw unsafe KafkaError(consuming: error)
            }
            assignment.formUnion(numbers)
        } else {
            let code = unsafe rd_kafka_assign(client.handle, list.list)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
            assignment = Set(numbers)
            paused = []
        }
    }

    /// Gives partitions up; when the last one that was asked for is given up, the revoke is answered, and what was stored
    /// is committed with it. True where that answered it.
    package func release(_ numbers: [Int32]) throws(KafkaError) -> Bool {
        guard toRevoke != nil else { return false }
        toRevoke?.subtract(numbers)
        guard toRevoke?.isEmpty ?? false else { return false }
        toRevoke = nil
        // Paused, they would be given to us again paused, for ever.
        resume(revoking)
        assignment.subtract(revoking)
        if isCooperative {
            let list = TopicPartitions(topic: topic, revoking)
            if let error = unsafe rd_kafka_incremental_unassign(client.handle, list.list) {
                throw unsafe KafkaError(consuming: error)
            }
        } else {
            let code = unsafe rd_kafka_assign(client.handle, nil)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        }
        return true
    }

    /// The next offsets to commit. A partition that is no longer ours is refused by the library, which is as it should be.
    package func store(_ offsets: [(partition: Int32, offset: Int64)]) {
        guard !offsets.isEmpty else { return }
        let list = TopicPartitions(topic: topic, offsets: offsets)
        unsafe _ = rd_kafka_offsets_store(client.handle, list.list)
    }

    /// Commits these offsets, each with a text beside it (none: an empty one), without waiting: `nextCommit` tells how it went.
    package func commit(_ entries: [(partition: Int32, offset: Int64, metadata: String)], id: UInt) -> KafkaError? {
        let list = TopicPartitions(topic: topic, offsets: entries.map { ($0.partition, $0.offset) })
        for (index, entry) in entries.enumerated() { list.setMetadata(entry.metadata, at: index) }
        let code = unsafe rd_kafka_commit_queue(
            client.handle, list.list, commits, nil, UnsafeMutableRawPointer(bitPattern: id))
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code)
    }

    /// How a commit went that was asked for by name; nil where none has ended since.
    package func nextCommit() -> (id: UInt, error: KafkaError?)? {
        guard let event = unsafe rd_kafka_queue_poll(commits, 0) else { return nil }
        defer { unsafe rd_kafka_event_destroy(event) }
        let code = unsafe rd_kafka_event_error(event)
        return unsafe (
            UInt(bitPattern: rd_kafka_event_opaque(event)),
            code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code)
        )
    }

    package func pause(_ numbers: [Int32]) {
        let fresh = numbers.filter { !paused.contains($0) && assignment.contains($0) }
        guard !fresh.isEmpty else { return }
        paused.formUnion(fresh)
        let list = TopicPartitions(topic: topic, fresh)
        unsafe _ = rd_kafka_pause_partitions(client.handle, list.list)
    }

    package func resume(_ numbers: [Int32]) {
        let held = numbers.filter { paused.contains($0) && assignment.contains($0) }
        guard !held.isEmpty else { return }
        paused.subtract(held)
        let list = TopicPartitions(topic: topic, held)
        unsafe _ = rd_kafka_resume_partitions(client.handle, list.list)
    }

    /// The partition's end as of the last fetch: the offset that the next record will get. Nil before the first.
    package func knownEnd(_ partition: Int32) -> Int64? { known(partition).flatMap { $0.high >= 0 ? $0.high : nil } }

    /// The first offset that the partition still has, as of the last fetch.
    package func knownStart(_ partition: Int32) -> Int64? { known(partition).flatMap { $0.low >= 0 ? $0.low : nil } }

    private func known(_ partition: Int32) -> (low: Int64, high: Int64)? {
        var (low, high): (Int64, Int64) = (0, 0)
        let code = unsafe rd_kafka_get_watermark_offsets(client.handle, topic, partition, &low, &high)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? (low, high) : nil
    }

    /// Begins to leave the group: a revoke follows, and when it is answered the consumer is closed.
    package func beginClose() throws(KafkaError) {
        if let error = unsafe rd_kafka_consumer_close_queue(client.handle, client.queue) {
            throw unsafe KafkaError(consuming: error)
        }
    }

    package var isClosed: Bool { unsafe rd_kafka_consumer_closed(client.handle) != 0 }
}
