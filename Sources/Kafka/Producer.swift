internal import CRdkafka
package import Core

package enum ProducerEvent {
    /// The record is on all in-sync replicas of the topic, at this position.
    case acknowledged(UInt64, Position)
    case refused(UInt64, KafkaError)
    /// An error that is not about a single record. After a fatal one, the producer must be recreated once nothing is
    /// `pending`.
    case failed(KafkaError)
    case log(LibraryLog)
}

/// Writes records to one or more topics, idempotent and with `acks=all`. It has no time limit, because no record is ever given
/// up.
@safe package final class Producer {
    package enum Outcome: Equatable {
        case queued
        /// librdkafka's queue is full. Retry later.
        case full
        case refused(KafkaError)
    }

    private let client: Client
    private let topics: [OpaquePointer]
    package private(set) var isBroken = false

    package convenience init(_ configuration: ClientConfiguration, topic: String) throws(KafkaError) {
        try self.init(configuration, topics: [topic])
    }

    package init(_ configuration: ClientConfiguration, topics names: [String]) throws(KafkaError) {
        let conf = unsafe try configuration.make(
            defaults: [
                ("linger.ms", "2"), ("queue.buffering.max.messages", "100000"),
                ("queue.buffering.max.kbytes", "262144"),
            ],
            required: [("enable.idempotence", "true"), ("acks", "all"), ("message.timeout.ms", "0")])
        client = unsafe try Client(.producer, conf: conf, events: RD_KAFKA_EVENT_DR)
        var topics: [OpaquePointer] = unsafe []
        for name in names {
            guard let topic = unsafe rd_kafka_topic_new(client.handle, name, nil) else {
                let error = KafkaError(rd_kafka_last_error())
                unsafe topics.forEach { unsafe rd_kafka_topic_destroy($0) }
                throw error
            }
            unsafe topics.append(topic)
        }
        unsafe self.topics = unsafe topics
    }

    deinit { unsafe topics.forEach { unsafe rd_kafka_topic_destroy($0) } }

    package var descriptor: Int32 { client.descriptor }
    package func acknowledge() { client.acknowledge() }
    /// Records that are neither acknowledged nor refused yet, plus events that are not taken yet.
    package var pending: Int { unsafe Int(rd_kafka_outq_len(client.handle)) }

    /// Queues one record for the topic with this index. If `partition` is nil, librdkafka chooses it by the key.
    package func produce(
        id: UInt64, topic index: Int = 0, partition: Int32?, key: [UInt8]?, value: [UInt8]?, headers: [Header]
    ) -> Outcome {
        guard !isBroken else { return .full }
        let list = unsafe rd_kafka_headers_new(headers.count)
        for header in headers {
            let size = header.value?.count ?? 0
            unsafe _ = (header.value ?? []).withUnsafeBytes { value in
                unsafe rd_kafka_header_add(
                    list, header.name, -1, header.value == nil ? nil : value.baseAddress ?? Self.empty, size)
            }
        }
        let error = unsafe send(
            id: id, topic: topics[index], partition: partition, key: key, value: value, headers: list)
        guard let error = unsafe error else { return .queued }
        // librdkafka takes ownership of the headers only if it accepts the record.
        unsafe rd_kafka_headers_destroy(list)
        let reason = unsafe KafkaError(consuming: error)
        if reason.code == RD_KAFKA_RESP_ERR__FATAL.rawValue { giveUp() }
        return isBroken || reason.code == RD_KAFKA_RESP_ERR__QUEUE_FULL.rawValue ? .full : .refused(reason)
    }

    /// A non-null address for an empty value, because a null pointer would mean a null value.
    private static var empty: UnsafeRawPointer { unsafe UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped }

    private func send(
        id: UInt64, topic: OpaquePointer, partition: Int32?, key: [UInt8]?, value: [UInt8]?, headers: OpaquePointer?
    ) -> OpaquePointer? {
        unsafe (key ?? []).withUnsafeBytes { keyBytes in
            unsafe (value ?? []).withUnsafeBytes { valueBytes in
                var parts = unsafe [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: 7)
                unsafe parts[0].vtype = RD_KAFKA_VTYPE_RKT
                unsafe parts[0].u.rkt = unsafe topic
                unsafe parts[1].vtype = RD_KAFKA_VTYPE_PARTITION
                unsafe parts[1].u.i32 = partition ?? RD_KAFKA_PARTITION_UA
                unsafe parts[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS
                unsafe parts[2].u.i = Int32(RD_KAFKA_MSG_F_COPY)
                unsafe parts[3].vtype = RD_KAFKA_VTYPE_KEY
                unsafe parts[3].u.mem.ptr = UnsafeMutableRawPointer(
                    mutating: key == nil ? nil : keyBytes.baseAddress ?? Self.empty)
                unsafe parts[3].u.mem.size = keyBytes.count
                unsafe parts[4].vtype = RD_KAFKA_VTYPE_VALUE
                unsafe parts[4].u.mem.ptr = UnsafeMutableRawPointer(
                    mutating: value == nil ? nil : valueBytes.baseAddress ?? Self.empty)
                unsafe parts[4].u.mem.size = valueBytes.count
                unsafe parts[5].vtype = RD_KAFKA_VTYPE_HEADERS
                unsafe parts[5].u.headers = unsafe headers
                unsafe parts[6].vtype = RD_KAFKA_VTYPE_OPAQUE
                unsafe parts[6].u.ptr = UnsafeMutableRawPointer(bitPattern: UInt(id))
                return unsafe rd_kafka_produceva(client.handle, parts, parts.count)
            }
        }
    }

    /// Takes the next event and appends its contents to `events`. Returns false if there is none. One event can
    /// acknowledge many records.
    package func next(into events: inout [ProducerEvent], milliseconds: Int32 = 0) -> Bool {
        guard let event = unsafe client.poll(milliseconds: milliseconds) else { return false }
        defer { unsafe rd_kafka_event_destroy(event) }
        switch unsafe rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_DR:
            while let message = unsafe rd_kafka_event_message_next(event) {
                let id = unsafe UInt64(UInt(bitPattern: message.pointee._private))
                let code = unsafe message.pointee.err
                if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                    let position = unsafe Position(
                        partition: message.pointee.partition, offset: message.pointee.offset)
                    events.append(.acknowledged(id, position))
                } else {
                    // Queued records can come back before the error event.
                    if code == RD_KAFKA_RESP_ERR__FATAL { giveUp() }
                    unsafe events.append(.refused(id, client.error(code, text: nil)))
                }
            }
        case RD_KAFKA_EVENT_ERROR:
            let error = unsafe client.error(in: event)
            if error.isFatal { giveUp() }
            events.append(.failed(error))
        case RD_KAFKA_EVENT_LOG: unsafe events.append(.log(LibraryLog(event)))
        default: break
        }
        return true
    }

    /// Makes librdkafka raise a fatal error, to test the consequences.
    func failFatally() {
        unsafe _ = rd_kafka_test_fatal_error(client.handle, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "a test")
    }

    /// After a fatal error nothing more can be written. Purges the queue, so that everything in it comes back as
    /// refused.
    private func giveUp() {
        guard !isBroken else { return }
        isBroken = true
        unsafe _ = rd_kafka_purge(
            client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    }
}
