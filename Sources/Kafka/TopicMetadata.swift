internal import CRdkafka

/// The state of a topic in the cluster.
package enum TopicState: Equatable, Sendable {
    case there(partitions: Int)
    case missing
    /// The right to DESCRIBE the topic is missing, so the broker does not reveal whether it exists.
    case hidden
}

/// Queries the cluster about topics and rights before work begins. Every call blocks, at most for the given time.
package final class TopicMetadata {
    let client: Client
    let configuration: ClientConfiguration
    private var brokers: Set<Int32> = []
    /// The most informative error so far. The last slice of a wait may report only a timeout.
    private var lastReason: KafkaError?

    /// librdkafka needs a group name. No right on the group is needed.
    package init(_ configuration: ClientConfiguration, group: String = PartitionReader.namelessGroup) throws(KafkaError)
    {
        let conf = unsafe try configuration.make(
            defaults: [],
            required: [
                ("group.id", group), ("allow.auto.create.topics", "false"), ("enable.auto.commit", "false"),
                ("enable.partition.eof", "true"),
            ])
        client = unsafe try Client(.consumer, conf: conf, events: 0)
        self.configuration = configuration
    }

    /// Throws the error that the client met if no broker answered.
    package func state(of topic: String, milliseconds: Int32) throws(KafkaError) -> TopicState {
        let found = try client.metadata(of: topic, milliseconds: milliseconds, reason: reason)
        brokers = found.brokers
        guard let (error, partitions) = found.topic else { return .missing }
        switch error {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return .there(partitions: partitions)
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return .hidden
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: return .missing
        default: throw KafkaError(error)
        }
    }

    /// Whether the cluster has a controller. librdkafka's mock cluster names a controller that does not exist; it
    /// supports no administration.
    var hasController: Bool { unsafe brokers.contains(rd_kafka_controllerid(client.handle, 0)) }

    /// The most informative error that the client reported meanwhile. Prefers an error that waiting cannot fix.
    func reason(for code: rd_kafka_resp_err_t) -> KafkaError {
        while let event = unsafe client.poll() {
            defer { unsafe rd_kafka_event_destroy(event) }
            guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR else { continue }
            var error = unsafe client.error(in: event)
            if error.right == .group { continue }
            if error.kind == .notPermitted, let hint = configuration.authenticationHint { error.text += "; \(hint)" }
            if [.notPermitted, .insecure].contains(error.kind) { return error }
            if error.code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue { lastReason = error }
        }
        return lastReason ?? KafkaError(code)
    }

    /// The topic's effective settings, or nil if the cluster does not report them (the mock cluster). Call `state`
    /// first.
    package func settings(of topic: String, milliseconds: Int32) throws(KafkaError) -> [String: String]? {
        guard hasController else { return nil }
        var text = [CChar](repeating: 0, count: 256)
        let options = unsafe rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)
        var resource = unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
        guard let queue = unsafe rd_kafka_queue_new(client.handle) else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL) }
        defer {
            unsafe rd_kafka_queue_destroy(queue)
            unsafe rd_kafka_ConfigResource_destroy(resource)
            unsafe rd_kafka_AdminOptions_destroy(options)
        }
        unsafe _ = rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, &text, text.count)
        unsafe rd_kafka_DescribeConfigs(client.handle, &resource, 1, options, queue)
        guard let event = unsafe rd_kafka_queue_poll(queue, milliseconds + 500) else { throw KafkaError.timedOut }
        defer { unsafe rd_kafka_event_destroy(event) }
        let code = unsafe rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let result = unsafe rd_kafka_event_DescribeConfigs_result(event)
        else {
            throw KafkaError(code)
        }
        var count = 0
        guard let resources = unsafe rd_kafka_DescribeConfigs_result_resources(result, &count), count == 1 else {
            return nil
        }
        let refusal = unsafe rd_kafka_ConfigResource_error(resources[0])
        guard refusal == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(refusal) }
        var found: [String: String] = [:]
        let entries = unsafe rd_kafka_ConfigResource_configs(resources[0], &count)
        for index in 0..<count {
            guard let entry = unsafe entries?[index], let name = unsafe rd_kafka_ConfigEntry_name(entry),
                let value = unsafe rd_kafka_ConfigEntry_value(entry)
            else { continue }
            unsafe found[String(cString: name)] = unsafe String(cString: value)
        }
        return found
    }
}
