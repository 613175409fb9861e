internal import CRdkafka
package import Core
internal import Glibc

/// How a member of the group gets its partitions.
package enum Membership: Equatable, Sendable {
    /// The group's members share the partitions.
    case sharing
    /// Whoever is given partition 0 consumes all partitions; the other members stand by. `since`: when this member started,
    /// because the one that started first is given it.
    case exclusive(since: Timestamp)
}

/// What the group's consumer reports. A rebalance is a question: `assigned` is answered by `accept(_:)`, `revoked` by
/// `release(_:)`; until then the group waits for this member.
package enum ConsumerEvent {
    case record(Record)
    /// All before this offset was handed over.
    case reachedEnd(Position)
    /// What the group gives this member; with `exclusive` only whether partition 0 is there matters.
    case assigned([Int32])
    /// What this member has to give up.
    case revoked([Int32], isLost: Bool)
    case failed(KafkaError)
    /// Every few seconds: whether a broker is connected.
    case connection(Bool)
    case log(LibraryLog)
}

/// A member of the consumer group that reads the requests topic. Nothing here blocks.
@safe package final class Consumer {
    private let client: Client
    private let topic: String
    private let longestValue: Int
    private let topicHandle: OpaquePointer?
    /// Results of commits that were asked for by name.
    private let commits: OpaquePointer
    private let membership: Membership
    /// What the group has given this member.
    private var given: Set<Int32> = []
    private var mustAccept = false
    private var isClosing = false
    private var toRevoke: Set<Int32>?
    private var revoking: Set<Int32> = []
    /// Resuming a partition that is not paused makes librdkafka before 2.4.0 read it again, for ever: only these may be.
    private var paused: Set<Int32> = []
    package private(set) var assignment: Set<Int32> = []

    /// `sessionTimeout`: how long the coordinator waits for a member that is silent. Values longer than `longestValue` are not
    /// copied: their records say how long they are.
    package init(
        _ configuration: ClientConfiguration, topic: String, group: String, membership: Membership = .sharing,
        sessionTimeout: Duration = .seconds(10), longestValue: Int = .max
    ) throws(KafkaError) {
        self.membership = membership
        self.longestValue = longestValue
        let conf = unsafe try configuration.make(
            defaults: [
                ("statistics.interval.ms", "3000"),
                // More than a second of work: a full queue makes the library wait a whole second before it fetches on.
                ("queued.min.messages", "20000"), ("queued.max.messages.kbytes", "32768"),
                ("fetch.wait.max.ms", "100"),
                // Partitions that are added are seen within this time.
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
            return unsafe .record(Record(message, longestValue: longestValue))
        case RD_KAFKA_EVENT_REBALANCE: return unsafe rebalance(event)
        case RD_KAFKA_EVENT_STATS:
            // Of all that it says (STATISTICS.md), whether any broker's state is UP.
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

    /// Whether the group has made this member the one that consumes all partitions.
    package var holdsLease: Bool { membership != .sharing && given.contains(0) }

    /// The library has no answer (a null pointer) once the consumer is closing.
    private var isIncremental: Bool {
        let name: UnsafePointer<CChar>? = unsafe rd_kafka_rebalance_protocol(client.handle)
        return unsafe name.map { unsafe String(cString: $0) == "COOPERATIVE" } ?? false
    }

    /// Answers `assigned`: fetching these partitions begins at these offsets. A member may assign itself partitions that the
    /// group gave to another; the coordinator checks a commit's member and generation only.
    package func accept(_ offsets: [Int32: Int64]) throws(KafkaError) {
        guard mustAccept else { return }
        mustAccept = false
        // Before 2.4 a close waits for the answer; in later versions the call can wait for ever for a group that is left.
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

    /// Gives partitions up; when the last one that was asked for is given up, the revoke is answered. True where that
    /// answered it.
    package func release(_ numbers: [Int32]) throws(KafkaError) -> Bool {
        guard toRevoke != nil else { return false }
        toRevoke?.subtract(numbers)
        guard toRevoke?.isEmpty ?? false else { return false }
        toRevoke = nil
        // Paused, they would be given to us again paused, for ever.
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

    /// Commits these offsets, each with its metadata, without waiting: `nextCommit` tells how it went.
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
        isClosing = true
        if let error = unsafe rd_kafka_consumer_close_queue(client.handle, client.queue) {
            throw unsafe KafkaError(consuming: error)
        }
    }

    package var isClosed: Bool { unsafe rd_kafka_consumer_closed(client.handle) != 0 }
}
