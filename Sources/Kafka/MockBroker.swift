internal import CRdkafka

/// librdkafka's mock cluster: a broker without durability, for the demo and for tests. It listens on a free port of
/// 127.0.0.1 and keeps 5 MiB per partition. Some hostile input aborts its process, so it runs in a process of its own.
@safe package final class MockBroker {
    private let host: OpaquePointer
    private let cluster: OpaquePointer
    /// The address for clients, `127.0.0.1:PORT`.
    package let bootstrapServers: String

    package init(topics: [(name: String, partitions: Int)]) throws(KafkaError) {
        var text = [CChar](repeating: 0, count: 512)
        guard let conf = unsafe rd_kafka_conf_new() else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL) }
        // The host client connects to nothing, and would log a warning about that.
        unsafe _ = rd_kafka_conf_set(conf, "log_level", "2", &text, text.count)
        guard let host = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, conf, &text, text.count)
        else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL, ClientConfiguration.text(text)) }
        guard let cluster = unsafe rd_kafka_mock_cluster_new(host, 1) else {
            unsafe rd_kafka_destroy(host)
            throw KafkaError(RD_KAFKA_RESP_ERR__FAIL, "the mock cluster did not start")
        }
        unsafe self.host = unsafe host
        unsafe self.cluster = unsafe cluster
        bootstrapServers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
        for topic in topics {
            let code = unsafe rd_kafka_mock_topic_create(cluster, topic.name, Int32(topic.partitions), 1)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code, "topic \(topic.name)") }
        }
    }

    /// Destroy the cluster before its host, or librdkafka aborts.
    deinit {
        unsafe rd_kafka_mock_cluster_destroy(cluster)
        unsafe rd_kafka_destroy(host)
    }
}
