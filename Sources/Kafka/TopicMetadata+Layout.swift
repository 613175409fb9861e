internal import CRdkafka

/// A topic's partitions and replicas.
package struct TopicReplicas: Equatable, Sendable {
    package var partitions = 0
    /// Of the partition that has the fewest.
    package var replicas = Int.max
    package var inSync = Int.max
    package var leaderless = 0
}

extension TopicMetadata {
    /// The replicas of a topic that is there; nil if it is not, or is hidden. Call `state` first.
    package func replicas(of topic: String, milliseconds: Int32) throws(KafkaError) -> TopicReplicas? {
        guard let named = unsafe rd_kafka_topic_new(client.handle, topic, nil) else {
            throw KafkaError(rd_kafka_last_error())
        }
        defer { unsafe rd_kafka_topic_destroy(named) }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.handle, 0, named, &metadata, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe metadata else { throw KafkaError(code) }
        defer { unsafe rd_kafka_metadata_destroy(found) }
        guard unsafe found.pointee.topic_cnt == 1 else { return nil }
        let entry = unsafe found.pointee.topics[0]
        guard unsafe entry.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
        var layout = TopicReplicas()
        for index in unsafe 0..<Int(entry.partition_cnt) {
            let partition = unsafe entry.partitions[index]
            layout.partitions += 1
            unsafe layout.replicas = min(layout.replicas, Int(partition.replica_cnt))
            unsafe layout.inSync = min(layout.inSync, Int(partition.isr_cnt))
            if unsafe partition.leader < 0 { layout.leaderless += 1 }
        }
        return layout
    }

    /// The brokers of the cluster, as `HOST:PORT`.
    package func brokerNames(milliseconds: Int32) throws(KafkaError) -> [String] {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.handle, 0, nil, &metadata, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe metadata else { throw reason(for: code) }
        defer { unsafe rd_kafka_metadata_destroy(found) }
        return unsafe (0..<Int(found.pointee.broker_cnt)).map { index in
            let broker = unsafe found.pointee.brokers[index]
            return unsafe "\(String(cString: broker.host)):\(broker.port)"
        }
    }
}
