/// When open requests expire, earliest first. Requests that left stay in it until their time, or until they are most of it.
struct ExpiryQueue {
    private struct Entry: Comparable {
        var at: Duration
        var request: RequestID

        static func < (a: Self, b: Self) -> Bool { (a.at, a.request) < (b.at, b.request) }
    }

    private var entries = Heap<Entry>()

    /// By uptime.
    var first: Duration? { entries.first?.at }

    mutating func schedule(_ request: RequestID, at: Duration) { entries.insert(Entry(at: at, request: request)) }

    /// Takes the first request whose time is at or before this one.
    mutating func takeDue(_ time: Duration) -> RequestID? {
        guard let first = entries.first, first.at <= time else { return nil }
        entries.popFirst()
        return first.request
    }

    /// Whether most entries are of requests that have left, so that it is to be filled anew.
    func isStale(openCount: Int) -> Bool { entries.count > 2 * openCount + 64 }

    mutating func removeAll() { entries = Heap() }
}
