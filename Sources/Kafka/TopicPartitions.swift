internal import CRdkafka

/// The single owner of a list of partitions of one topic, with offsets.
@safe struct TopicPartitions: ~Copyable {
    let list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    /// Takes ownership of a list.
    init(owning list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) { unsafe self.list = unsafe list }

    init(topic: String, _ partitions: [Int32]) {
        unsafe self.init(owning: rd_kafka_topic_partition_list_new(Int32(partitions.count)))
        for partition in partitions { unsafe _ = rd_kafka_topic_partition_list_add(list, topic, partition) }
    }

    init(topic: String, offsets: [(partition: Int32, offset: Int64)]) {
        self.init(topic: topic, offsets.map(\.partition))
        for (index, entry) in offsets.enumerated() { unsafe list.pointee.elems[index].offset = entry.offset }
    }

    /// Sets an entry's metadata. The list frees it, so librdkafka's allocator must allocate it.
    func setMetadata(_ text: String, at index: Int) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty, let copy = unsafe rd_kafka_mem_malloc(nil, bytes.count) else { return }
        unsafe copy.copyMemory(from: bytes, byteCount: bytes.count)
        unsafe list.pointee.elems[index].metadata = copy
        unsafe list.pointee.elems[index].metadata_size = bytes.count
    }

    /// The metadata beside an entry's offset.
    func metadata(_ index: Int) -> String {
        let entry = unsafe list.pointee.elems[index]
        guard let start = unsafe entry.metadata else { return "" }
        return unsafe String(
            decoding: UnsafeRawBufferPointer(start: start, count: entry.metadata_size), as: UTF8.self)
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(list) }

    static func numbers(_ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>) -> [Int32] {
        unsafe (0..<Int(list.pointee.cnt)).map { unsafe list.pointee.elems[$0].partition }
    }

    /// The partition, offset and error of each entry after a library call.
    var entries: [(partition: Int32, offset: Int64, error: rd_kafka_resp_err_t)] {
        unsafe (0..<Int(list.pointee.cnt)).map { index in
            let entry = unsafe list.pointee.elems[index]
            return unsafe (entry.partition, entry.offset, entry.err)
        }
    }
}
