internal import CLinux
internal import CRdkafka
internal import Core

/// The single owner of a librdkafka handle, its event queue, and the eventfd that signals when the queue becomes
/// non-empty.
@safe struct Client: ~Copyable {
    enum Role { case consumer, producer }

    let handle: OpaquePointer
    let queue: OpaquePointer
    /// Becomes readable when the queue becomes non-empty. If you stop before draining the queue, poll again unprompted.
    let descriptor: Int32

    /// Takes ownership of `conf`, even on failure.
    init(_ role: Role, conf: OpaquePointer, events: Int32) throws(KafkaError) {
        unsafe rd_kafka_conf_set_events(conf, events | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG)
        var text = [CChar](repeating: 0, count: 512)
        let type = role == .consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
        guard let handle = unsafe rd_kafka_new(type, conf, &text, text.count) else {
            unsafe rd_kafka_conf_destroy(conf)
            throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, ClientConfiguration.text(text))
        }
        if role == .consumer { unsafe _ = rd_kafka_poll_set_consumer(handle) }
        guard
            let queue = unsafe role == .consumer
                ? rd_kafka_queue_get_consumer(handle) : rd_kafka_queue_get_main(handle)
        else {
            unsafe rd_kafka_destroy(handle)
            throw KafkaError(RD_KAFKA_RESP_ERR__FAIL, "the client has no queue")
        }
        unsafe self.handle = unsafe handle
        unsafe self.queue = unsafe queue
        descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        unsafe _ = rd_kafka_set_log_queue(handle, queue)
        var one: UInt64 = 1
        unsafe rd_kafka_queue_io_event_enable(queue, descriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// The consumer is already closed, or is abandoned without leaving the group. Closing it here would block.
    deinit {
        unsafe rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        unsafe rd_kafka_queue_destroy(queue)
        unsafe rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        close(descriptor)
    }

    /// Clears the signal that the queue is non-empty.
    func acknowledge() {
        var count: UInt64 = 0
        unsafe _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
    }

    /// The next event. The caller must destroy it.
    func poll(milliseconds: Int32 = 0) -> OpaquePointer? { unsafe rd_kafka_queue_poll(queue, milliseconds) }

    /// The offset that the partition's next record will get, if an event of type ERROR reports a partition's end.
    /// Otherwise nil.
    func end(in event: OpaquePointer) -> Position? {
        guard unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__PARTITION_EOF,
            let entry = unsafe rd_kafka_event_topic_partition(event)
        else { return nil }
        defer { unsafe rd_kafka_topic_partition_destroy(entry) }
        return unsafe Position(partition: entry.pointee.partition, offset: entry.pointee.offset)
    }

    /// A broker's metadata for one topic (nil if it has none), and the known brokers. Requests the topic by name, so
    /// that a cluster with very many topics answers as fast. A consumer's `allow.auto.create.topics` prevents this
    /// request from creating the topic. Blocks. `reason` supplies the error to throw if no broker answered.
    func metadata(
        of topic: String, milliseconds: Int32, reason: (rd_kafka_resp_err_t) -> KafkaError = { KafkaError($0) }
    ) throws(KafkaError) -> (topic: (error: rd_kafka_resp_err_t, partitions: Int)?, brokers: Set<Int32>) {
        guard let named = unsafe rd_kafka_topic_new(handle, topic, nil) else {
            throw KafkaError(rd_kafka_last_error())
        }
        defer { unsafe rd_kafka_topic_destroy(named) }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(handle, 0, named, &metadata, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe metadata else { throw reason(code) }
        defer { unsafe rd_kafka_metadata_destroy(found) }
        let brokers = unsafe Set((0..<Int(found.pointee.broker_cnt)).map { unsafe found.pointee.brokers[$0].id })
        guard unsafe found.pointee.topic_cnt == 1 else { return (nil, brokers) }
        let entry = unsafe found.pointee.topics[0]
        return unsafe ((entry.err, Int(entry.partition_cnt)), brokers)
    }

    /// The error in an event of type ERROR.
    func error(in event: OpaquePointer) -> KafkaError {
        var error = unsafe error(rd_kafka_event_error(event), text: rd_kafka_event_error_string(event))
        // The event has the code of the cause, and a separate flag for a fatal error.
        if unsafe rd_kafka_event_error_is_fatal(event) != 0 { error.isFatal = true }
        return error
    }

    func error(_ code: rd_kafka_resp_err_t, text: UnsafePointer<CChar>?) -> KafkaError {
        if code == RD_KAFKA_RESP_ERR__FATAL {
            // The event shows only that there is a fatal error. The handle keeps the reason.
            var reason = [CChar](repeating: 0, count: 512)
            let cause = unsafe rd_kafka_fatal_error(handle, &reason, reason.count)
            var error = KafkaError(cause, ClientConfiguration.text(reason))
            error.isFatal = true
            return error
        }
        return KafkaError(code, unsafe text.map { unsafe String(cString: $0) } ?? "")
    }
}

/// A line of the library's log.
package struct LibraryLog: Equatable, Sendable {
    /// As in syslog: 3 is an error, 4 a warning, 6 information, 7 debugging.
    package var level: Int32
    package var facility: String
    package var text: String

    init(_ event: OpaquePointer) {
        var facility: UnsafePointer<CChar>?
        var text: UnsafePointer<CChar>?
        var level: Int32 = 6
        unsafe _ = rd_kafka_event_log(event, &facility, &text, &level)
        self.level = level
        self.facility = unsafe facility.map { unsafe String(cString: $0) } ?? ""
        self.text = unsafe text.map { unsafe String(cString: $0) } ?? ""
    }
}
