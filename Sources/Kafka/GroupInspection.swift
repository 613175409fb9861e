internal import CRdkafka

/// Looks at a consumer group without joining it. Every call blocks, at most for the given time.
package final class GroupInspection {
    /// The members of a group, and how they share the partitions.
    package struct Description: Sendable {
        package var strategy: String
        package var members: [(client: String, host: String)]
    }

    private let metadata: TopicMetadata
    private let group: String
    private let topic: String

    /// `topic` is any topic of the cluster.
    package init(_ configuration: ClientConfiguration, group: String, topic: String) throws(KafkaError) {
        metadata = try TopicMetadata(configuration, group: group)
        self.group = group
        self.topic = topic
    }

    /// Needs DESCRIBE on the group. Throws an error of kind `notPermitted` without it.
    package func describe(milliseconds: Int32) throws(KafkaError) -> Description {
        // The mock cluster cannot describe groups. Asking it leaves librdkafka 2.0.2 in a state in which destroying the
        // client aborts or blocks (observed).
        _ = try metadata.state(of: topic, milliseconds: milliseconds)
        guard metadata.hasController else { throw .unsupported("this cluster does not describe groups") }
        let handle = unsafe metadata.client.handle
        let options = unsafe rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)
        guard let queue = unsafe rd_kafka_queue_new(handle) else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL) }
        defer {
            unsafe rd_kafka_queue_destroy(queue)
            unsafe rd_kafka_AdminOptions_destroy(options)
        }
        var text = [CChar](repeating: 0, count: 256)
        unsafe _ = rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, &text, text.count)
        unsafe group.withCString { name in
            var names: UnsafePointer<CChar>? = unsafe name
            unsafe rd_kafka_DescribeConsumerGroups(handle, &names, 1, options, queue)
        }
        guard let event = unsafe rd_kafka_queue_poll(queue, milliseconds + 500) else { throw KafkaError.timedOut }
        defer { unsafe rd_kafka_event_destroy(event) }
        let code = unsafe rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR,
            let result = unsafe rd_kafka_event_DescribeConsumerGroups_result(event)
        else { throw KafkaError(code) }
        var count = 0
        guard let groups = unsafe rd_kafka_DescribeConsumerGroups_result_groups(result, &count), count == 1,
            let found = unsafe groups[0]
        else { throw KafkaError.timedOut }
        if let error = unsafe rd_kafka_ConsumerGroupDescription_error(found) {
            let code = unsafe rd_kafka_error_code(error)
            if code != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaError(code) }
        }
        let members = unsafe (0..<rd_kafka_ConsumerGroupDescription_member_count(found)).map { index in
            let member = unsafe rd_kafka_ConsumerGroupDescription_member(found, index)
            return unsafe (
                client: Self.text(rd_kafka_MemberDescription_client_id(member)),
                host: Self.text(rd_kafka_MemberDescription_host(member))
            )
        }
        return unsafe Description(
            strategy: Self.text(rd_kafka_ConsumerGroupDescription_partition_assignor(found)), members: members)
    }

    /// Whether this client may join the group. Changes nothing: it commits an offset for a partition that no topic has.
    /// Brokers first check READ on the group, and then refuse the partition (KafkaApis.handleOffsetCommitRequest).
    /// Throws if the answer shows neither.
    package func mayRead(milliseconds: Int32) throws(KafkaError) -> Bool {
        let handle = unsafe metadata.client.handle
        guard let queue = unsafe rd_kafka_queue_new(handle) else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL) }
        defer { unsafe rd_kafka_queue_destroy(queue) }
        let list = TopicPartitions(topic: topic, offsets: [(Int32.max, 0)])
        let code = unsafe rd_kafka_commit_queue(handle, list.list, queue, nil, nil)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError(code) }
        for _ in 0..<max(1, milliseconds / 100) {
            if let event = unsafe rd_kafka_queue_poll(queue, 100) {
                defer { unsafe rd_kafka_event_destroy(event) }
                return try unsafe Self.mayRead(event)
            }
            // Without DESCRIBE on the group its coordinator is not found, and the commit waits for it.
            while let event = unsafe metadata.client.poll() {
                defer { unsafe rd_kafka_event_destroy(event) }
                guard unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR else { continue }
                if unsafe metadata.client.error(in: event).right == .group { return false }
            }
        }
        throw KafkaError.timedOut
    }

    private static func mayRead(_ event: OpaquePointer) throws(KafkaError) -> Bool {
        var code = unsafe rd_kafka_event_error(event)
        if code == RD_KAFKA_RESP_ERR_NO_ERROR, let list = unsafe rd_kafka_event_topic_partition_list(event),
            unsafe list.pointee.cnt > 0
        {
            unsafe code = list.pointee.elems[0].err
        }
        switch code {
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: return false
        case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
            return true
        // The topic is not readable, which is reported by itself. The group was checked first.
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: return true
        default: throw KafkaError(code)
        }
    }

    private static func text(_ text: UnsafePointer<CChar>?) -> String {
        unsafe text.map { unsafe String(cString: $0) } ?? ""
    }
}
