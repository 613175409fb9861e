internal import CRdkafka
package import Core
internal import Glibc

/// How a group member gets its partitions.
package enum Membership: Equatable, Sendable {
    /// The group's members share the partitions.
    case sharing
    /// The member that is assigned partition 0 consumes all partitions, and the other members stand by. `since` is when
    /// this member started, because partition 0 goes to the member that started first.
    case exclusive(since: Timestamp)
}

/// An event of the group's consumer. A rebalance needs an answer, and the group waits for this member until it comes.
/// `accept(_:)` answers `assigned`, and `release(_:)` answers `revoked`.
package enum ConsumerEvent {
    case record(Record)
    /// All records before this offset were delivered.
    case reachedEnd(Position)
    /// The partitions assigned to this member. With `exclusive`, only the presence of partition 0 matters.
    case assigned([Int32])
    /// The partitions that this member must give up.
    case revoked([Int32], isLost: Bool)
    case failed(KafkaError)
    /// Whether a broker is connected; reported every few seconds.
    case connection(Bool)
    case log(LibraryLog)
}

/// A member of the consumer group that reads the requests topic. No method blocks.
@safe package final class Consumer {
    private let client: Client
    private let topic: String
    private let longestValue: Int
    private let topicHandle: OpaquePointer?
    /// The queue for the results of this consumer's commits.
    private let commits: OpaquePointer
    private let membership: Membership
    /// The partitions that the group has assigned to this member.
    private var given: Set<Int32> = []
    private var mustAccept = false
    private var isClosing = false
    private var toRevoke: Set<Int32>?
    private var revoking: Set<Int32> = []
    /// The paused partitions. Only these may be resumed, because librdkafka before 2.4.0 re-reads a partition for ever
    /// if it is resumed while not paused.
    private var paused: Set<Int32> = []
    package private(set) var assignment: Set<Int32> = []

    /// `sessionTimeout` is how long the coordinator waits for a silent member. Values longer than `longestValue` are
    /// not copied; their records contain only the length.
    package init(
        _ configuration: ClientConfiguration, topic: String, group: String, membership: Membership = .sharing,
        sessionTimeout: Duration = .seconds(10), longestValue: Int = .max
    ) throws(KafkaError) {
        self.membership = membership
        self.longestValue = longestValue
        let conf = unsafe try configuration.make(
            defaults: [
                ("statistics.interval.ms", "3000"),
                // Holds more than a second of work, because librdkafka waits a whole second before it fetches again
                // after the queue was full.
                ("queued.min.messages", "20000"), ("queued.max.messages.kbytes", "32768"),
                ("fetch.wait.max.ms", "100"),
                // Detects added partitions within this time.
                ("topic.metadata.refresh.interval.ms", "60000"),
            ] + configuration.groupDefaults(membership, sessionTimeout: sessionTimeout),
            required: [
                ("group.id", group), ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "earliest"), ("enable.partition.eof", "true"),
                ("allow.auto.create.topics", "false"),
            ] + configuration.groupRequirements(membership))
        client = unsafe try Client(.consumer, conf: conf, events: RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_STATS)
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

    /// Leaves the group and joins it again. All partitions are revoked and assigned again.
    package func rejoin() throws(KafkaError) {
        let code = unsafe rd_kafka_unsubscribe(client.handle)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        try subscribe()
    }

    /// The next event, or nil if there is none now.
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
            return unsafe .record(Record(message, longestValue: longestValue))
        case RD_KAFKA_EVENT_REBALANCE: return unsafe rebalance(event)
        case RD_KAFKA_EVENT_STATS:
            // The only field used from the statistics (STATISTICS.md) is whether any broker's state is UP.
            return unsafe .connection(strstr(rd_kafka_event_stats(event), #""state":"UP""#) != nil)
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
            mustAccept = true
            if isIncremental { given.formUnion(numbers) } else { given = Set(numbers) }
            return .assigned(numbers)
        }
        if isIncremental { given.subtract(numbers) } else { given = [] }
        revoking = membership == .sharing ? Set(numbers) : holdsLease ? [] : assignment
        toRevoke = revoking
        return unsafe .revoked(Array(revoking), isLost: rd_kafka_assignment_lost(client.handle) != 0)
    }

    /// Whether this member is the one that consumes all partitions.
    package var holdsLease: Bool { membership != .sharing && given.contains(0) }

    /// Whether rebalances are incremental (cooperative). librdkafka returns a null pointer once the consumer is
    /// closing.
    private var isIncremental: Bool {
        let name: UnsafePointer<CChar>? = unsafe rd_kafka_rebalance_protocol(client.handle)
        return unsafe name.map { unsafe String(cString: $0) == "COOPERATIVE" } ?? false
    }

    /// Answers `assigned`. Fetching of these partitions starts at these offsets. A member may assign itself partitions
    /// that the group assigned to another member, because the coordinator checks only the member and generation of a
    /// commit.
    package func accept(_ offsets: [Int32: Int64]) throws(KafkaError) {
        guard mustAccept else { return }
        mustAccept = false
        // Before 2.4, a close waits for the answer. In later versions the call can wait for ever if the group was left.
        if isClosing && rd_kafka_version() >= 0x0204_0000 { return }
        let list = TopicPartitions(topic: topic, offsets: offsets.map { ($0.key, $0.value) })
        if isIncremental {
            if let error = unsafe rd_kafka_incremental_assign(client.handle, list.list) {
                throw unsafe KafkaError(consuming: error)
            }
            assignment.formUnion(offsets.keys)
        } else {
            let code = unsafe rd_kafka_assign(client.handle, list.list)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
            assignment = Set(offsets.keys)
            paused = []
        }
    }

    /// Gives up partitions. The last requested one answers the revoke; then this returns true.
    package func release(_ numbers: [Int32]) throws(KafkaError) -> Bool {
        guard toRevoke != nil else { return false }
        toRevoke?.subtract(numbers)
        guard toRevoke?.isEmpty ?? false else { return false }
        toRevoke = nil
        // Resume first, because a partition released while paused would stay paused for ever when it is assigned again.
        resume(Array(revoking))
        assignment.subtract(revoking)
        if isIncremental {
            let list = TopicPartitions(topic: topic, Array(revoking))
            if let error = unsafe rd_kafka_incremental_unassign(client.handle, list.list) {
                throw unsafe KafkaError(consuming: error)
            }
        } else {
            let code = unsafe rd_kafka_assign(client.handle, nil)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        }
        return true
    }

    /// Commits these offsets, each with its metadata, without waiting. `nextCommit` reports the result.
    package func commit(_ entries: [(partition: Int32, offset: Int64, metadata: String)], id: UInt) -> KafkaError? {
        let list = TopicPartitions(topic: topic, offsets: entries.map { ($0.partition, $0.offset) })
        for (index, entry) in entries.enumerated() { list.setMetadata(entry.metadata, at: index) }
        let code = unsafe rd_kafka_commit_queue(
            client.handle, list.list, commits, nil, UnsafeMutableRawPointer(bitPattern: id))
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : KafkaError(code)
    }

    /// The result of the next finished commit, or nil if none has finished since.
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

    /// The partition's end as of the last fetch: the offset of the next record. Nil before the first fetch.
    package func knownEnd(_ partition: Int32) -> Int64? { known(partition).flatMap { $0.high >= 0 ? $0.high : nil } }

    /// The partition's first available offset, as of the last fetch.
    package func knownStart(_ partition: Int32) -> Int64? { known(partition).flatMap { $0.low >= 0 ? $0.low : nil } }

    private func known(_ partition: Int32) -> (low: Int64, high: Int64)? {
        var (low, high): (Int64, Int64) = (0, 0)
        let code = unsafe rd_kafka_get_watermark_offsets(client.handle, topic, partition, &low, &high)
        return code == RD_KAFKA_RESP_ERR_NO_ERROR ? (low, high) : nil
    }

    /// Begins to leave the group. A revoke follows; answering it closes the consumer.
    package func beginClose() throws(KafkaError) {
        isClosing = true
        if let error = unsafe rd_kafka_consumer_close_queue(client.handle, client.queue) {
            throw unsafe KafkaError(consuming: error)
        }
    }

    package var isClosed: Bool { unsafe rd_kafka_consumer_closed(client.handle) != 0 }
}
