/// Requests with one Kafka key, which are called in order (`--ordering key`).
struct KeyOrder {
    private struct Key: Hashable {
        var partition: Int32
        var key: [UInt8]
    }

    /// Requests that left may still be in a queue.
    private var queues: [Key: Queue<RequestID>] = [:]

    /// Adds a request. True where no earlier one has its key, so that it may be called. A record without a key has no order.
    mutating func enter(_ id: RequestID, _ entry: OpenRequest) -> Bool {
        guard let key = Self.key(of: entry) else { return true }
        let isFirst = queues[key]?.isEmpty ?? true
        queues[key, default: Queue()].append(id)
        return isFirst
    }

    /// A request is done: the next open one with its key, if any, may be called.
    mutating func leave(_ id: RequestID, _ entry: OpenRequest, isOpen: (RequestID) -> Bool) -> RequestID? {
        guard let key = Self.key(of: entry), var queue = queues.removeValue(forKey: key) else { return nil }
        while let first = queue.first, first == id || !isOpen(first) { queue.popFirst() }
        guard let next = queue.first else { return nil }
        queues[key] = queue
        return next
    }

    mutating func forget(_ partition: Int32) {
        if !queues.isEmpty { queues = queues.filter { $0.key.partition != partition } }
    }

    private static func key(of entry: OpenRequest) -> Key? {
        entry.recordKey.map { Key(partition: entry.partition, key: $0) }
    }
}
