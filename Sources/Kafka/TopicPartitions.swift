internal import CRdkafka

/// The one owner of a list of partitions of one topic, with offsets.
@safe struct TopicPartitions: ~Copyable {
    let list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    /// Takes over a list.
    init(owning list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) { unsafe self.list = unsafe list }

    init(topic: String, _ partitions: [Int32]) {
        unsafe self.init(owning: rd_kafka_topic_partition_list_new(Int32(partitions.count)))
        for partition in partitions { unsafe _ = rd_kafka_topic_partition_list_add(list, topic, partition) }
    }

    init(topic: String, offsets: [(partition: Int32, offset: Int64)]) {
        self.init(topic: topic, offsets.map(\.partition))
        for (index, entry) in offsets.enumerated() { unsafe list.pointee.elems[index].offset = entry.offset }
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(list) }

    static func numbers(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> [Int32] {
        unsafe (0..<Int(list.pointee.cnt)).map { unsafe list.pointee.elems[$0].partition }
    }

    /// Partition, offset and error of each entry, as a call of the library left them.
    var entries: [(partition: Int32, offset: Int64, error: rd_kafka_resp_err_t)] {
        unsafe (0..<Int(list.pointee.cnt)).map { index in
            let entry = unsafe list.pointee.elems[index]
            return unsafe (entry.partition, entry.offset, entry.err)
        }
    }
}
