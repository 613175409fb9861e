internal import CRdkafka

extension TopicMetadata {
    /// The topics that this client may not read. Fetches each topic's partitions from their ends until one partition
    /// answers. A topic without an answer in time counts as readable.
    package func unreadable(
        _ topics: [(name: String, partitions: Int)], milliseconds: Int32, isStopped: () -> Bool
    ) throws(KafkaError) -> Set<String> {
        let count = topics.reduce(0) { $0 + $1.partitions }
        let list = unsafe TopicPartitions(owning: rd_kafka_topic_partition_list_new(Int32(count)))
        for (name, partitions) in topics {
            for partition in 0..<Int32(partitions) {
                let entry = unsafe rd_kafka_topic_partition_list_add(list.list, name, partition)
                unsafe entry?.pointee.offset = Int64(RD_KAFKA_OFFSET_END)
            }
        }
        let code = unsafe rd_kafka_assign(client.handle, list.list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        defer { unsafe _ = rd_kafka_assign(client.handle, nil) }
        var asked = Set(topics.map(\.name))
        var refused: Set<String> = []
        for _ in 0..<max(1, milliseconds / 100) where !asked.isEmpty && !isStopped() {
            guard let event = unsafe client.poll(milliseconds: 100) else { continue }
            defer { unsafe rd_kafka_event_destroy(event) }
            switch unsafe rd_kafka_event_type(event) {
            case RD_KAFKA_EVENT_FETCH:
                guard let message = unsafe rd_kafka_event_message_next(event) else { continue }
                if unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
                    unsafe asked.remove(String(cString: rd_kafka_topic_name(message.pointee.rkt)))
                }
            case RD_KAFKA_EVENT_ERROR:
                let code = unsafe rd_kafka_event_error(event)
                guard [RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED].contains(code),
                    let entry = unsafe rd_kafka_event_topic_partition(event)
                else { continue }
                defer { unsafe rd_kafka_topic_partition_destroy(entry) }
                let topic = unsafe String(cString: entry.pointee.topic)
                asked.remove(topic)
                if code != RD_KAFKA_RESP_ERR__PARTITION_EOF { refused.insert(topic) }
            default: continue
            }
        }
        return refused
    }

    /// Whether this client may write to the topic, or nil if that is unknown. Writes nothing. Brokers first check the
    /// right, and then refuse a number of acknowledgements other than 0, 1 and all (KafkaApis.handleProduceRequest,
    /// ReplicaManager.appendRecords). The mock cluster would accept the record, so this does not ask it.
    package func mayWrite(_ topic: String, milliseconds: Int32, isStopped: () -> Bool) throws(KafkaError) -> Bool? {
        guard hasController else { return nil }
        let conf = unsafe try configuration.make(
            defaults: [("linger.ms", "0")],
            required: [
                ("enable.idempotence", "false"), ("acks", "2"), ("message.timeout.ms", "\(milliseconds)"),
                ("allow.auto.create.topics", "false"),
            ])
        let producer = unsafe try Client(.producer, conf: conf, events: RD_KAFKA_EVENT_DR)
        guard let named = unsafe rd_kafka_topic_new(producer.handle, topic, nil) else {
            throw KafkaError(rd_kafka_last_error())
        }
        defer { unsafe rd_kafka_topic_destroy(named) }
        unsafe _ = rd_kafka_produce(named, 0, RD_KAFKA_MSG_F_COPY, nil, 0, nil, 0, nil)
        for _ in 0..<max(1, milliseconds / 100) where !isStopped() {
            guard let event = unsafe producer.poll(milliseconds: 100) else { continue }
            defer { unsafe rd_kafka_event_destroy(event) }
            guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR,
                let message = unsafe rd_kafka_event_message_next(event)
            else { continue }
            switch unsafe message.pointee.err {
            case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return false
            case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, RD_KAFKA_RESP_ERR_NO_ERROR: return true
            default: return nil
            }
        }
        return nil
    }
}
