/// When open requests expire, earliest first. Requests that have left stay in the queue until their time, or until the
/// queue is rebuilt because most of its entries are stale.
struct ExpiryQueue {
    private struct Entry: Hashable, Comparable {
        var at: Uptime
        var request: RequestID

        static func < (a: Self, b: Self) -> Bool { (a.at, a.request) < (b.at, b.request) }
    }

    private var entries = IndexedHeap<Entry, Entry>()

    var first: Uptime? { entries.first?.key.at }

    mutating func schedule(_ request: RequestID, at: Uptime) {
        let entry = Entry(at: at, request: request)
        entries.set(entry, entry)
    }

    /// Removes and returns the first request that is due at or before this time.
    mutating func takeDue(_ time: Uptime) -> RequestID? {
        guard let first = entries.first?.key, first.at <= time else { return nil }
        entries.remove(first)
        return first.request
    }

    /// Whether most entries are for requests that have left, so that the queue should be rebuilt.
    func isStale(openCount: Int) -> Bool { entries.count > 2 * openCount + 64 }

    mutating func removeAll() { entries = IndexedHeap() }
}
