/// Requests with the same Kafka key, which are called in order (`--ordering key`).
struct KeyOrder {
    private struct Key: Hashable {
        var partition: Int32
        var key: [UInt8]
    }

    /// The queues may still contain requests that have left.
    private var queues: [Key: Queue<RequestID>] = [:]

    /// Adds a request. True where no earlier request has its key, so that the new one may be called. Records
    /// without a key are not ordered.
    mutating func enter(_ id: RequestID, _ entry: OpenRequest) -> Bool {
        guard let key = Self.key(of: entry) else { return true }
        let isFirst = queues[key]?.isEmpty ?? true
        queues[key, default: Queue()].append(id)
        return isFirst
    }

    /// Removes a request that is done. Returns the next open request with its key, if any, which may now be called.
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
