internal import CRdkafka

/// Asks the cluster what topics it has, before work begins.
package final class Cluster {
    private let client: Client
    private let hint: String?

    package init(_ configuration: ClientConfiguration) throws(KafkaError) {
        let conf = unsafe try configuration.make(
            defaults: [("allow.auto.create.topics", "false")], required: [("group.id", "plugin-starter-preflight")])
        client = unsafe try Client(.consumer, conf: conf, events: 0)
        hint = configuration.authenticationHint
    }

    /// How many partitions each topic has; absent where there is no such topic. All topics are asked for, because asking
    /// for one by name lets a broker create it. Blocks for at most `milliseconds`; throws where no broker answered in it,
    /// with the reason that the client met.
    package func partitionCounts(milliseconds: Int32) throws(KafkaError) -> [String: Int] {
        var metadata: UnsafePointer<rd_kafka_metadata>?
        let code = unsafe rd_kafka_metadata(client.handle, 1, nil, &metadata, milliseconds)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe metadata else { throw reason(for: code) }
        defer { unsafe rd_kafka_metadata_destroy(found) }
        var counts: [String: Int] = [:]
        for index in 0..<Int(unsafe found.pointee.topic_cnt) {
            let topic = unsafe found.pointee.topics[index]
            unsafe counts[String(cString: topic.topic)] = Int(topic.partition_cnt)
        }
        return counts
    }

    /// The most telling of the errors that the client reported meanwhile: one that no waiting mends, if there is one.
    private func reason(for code: rd_kafka_resp_err_t) -> KafkaError {
        var best = KafkaError(code)
        while let event = unsafe client.poll() {
            defer { unsafe rd_kafka_event_destroy(event) }
            guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR else { continue }
            var error = unsafe client.error(in: event)
            if error.kind == .notPermitted, let hint { error.text += "; \(hint)" }
            if [.notPermitted, .insecure].contains(error.kind) { return error }
            if error.code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue { best = error }
        }
        return best
    }
}
