/// Results on their way to their topic, in the order in which they were sent, and those that the topic refused and that are
/// sent again.
struct Outbox {
    /// The topic has not taken a result for this long: no more requests are taken.
    private static let longestWrite: Duration = .seconds(5)
    private static let retryPause: Duration = .seconds(1)

    /// Acknowledged results leave it at the front only.
    private var sent = Queue<(request: RequestID, at: Duration)>()
    private var unacknowledged: Set<RequestID> = []
    private var retries: [(at: Duration, request: RequestID)] = []

    var hasRefused: Bool { !retries.isEmpty }
    var nextRetry: Duration? { retries.map(\.at).min() }
    /// When waiting for the oldest result stops the intake; nil where none waits.
    var stuckAt: Duration? { sent.first.map { $0.at + Self.longestWrite } }

    /// How long the oldest result has waited for its topic to take it.
    func waited(_ now: Duration) -> Duration { sent.first.map { now - $0.at } ?? .zero }
    func isStuck(_ now: Duration) -> Bool { waited(now) >= Self.longestWrite }

    mutating func send(_ request: RequestID, _ now: Duration) {
        unacknowledged.insert(request)
        sent.append((request, now))
    }

    /// The result is acknowledged, or its request was given up.
    mutating func remove(_ request: RequestID) {
        unacknowledged.remove(request)
        while let first = sent.first, !unacknowledged.contains(first.request) { sent.popFirst() }
    }

    /// The topic refused the result.
    mutating func retry(_ request: RequestID, _ now: Duration) { retries.append((now + Self.retryPause, request)) }

    /// Takes the refused results that are to be sent again now.
    mutating func takeDue(_ now: Duration) -> [RequestID] {
        let due = retries.filter { $0.at <= now }.map(\.request)
        retries.removeAll { $0.at <= now }
        return due.filter(unacknowledged.contains)
    }
}
