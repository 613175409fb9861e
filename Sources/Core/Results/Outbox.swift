/// Results that were sent to their topic and are not acknowledged yet, in the order in which they were sent. Also holds
/// the results that the topic refused, until they are sent again.
struct Outbox {
    /// No more requests are taken once the oldest result has waited this long for its acknowledgement.
    private static let longestWrite: Duration = .seconds(5)
    private static let retryPause: Duration = .seconds(1)

    /// Acknowledged results are removed only from the front.
    private var sent = Queue<(request: RequestID, at: Uptime)>()
    private var unacknowledged: Set<RequestID> = []
    /// In the order of time, because each waits equally long.
    private var retries = Queue<(at: Uptime, request: RequestID)>()

    var hasRefused: Bool { !retries.isEmpty }
    var nextRetry: Uptime? { retries.first?.at }
    /// When the wait for the oldest result stops the intake; nil where no result waits.
    var stuckAt: Uptime? { sent.first.map { $0.at + Self.longestWrite } }

    /// How long the oldest result has waited for its acknowledgement.
    func waited(_ now: Uptime) -> Duration { sent.first.map { now - $0.at } ?? .zero }
    func isStuck(_ now: Uptime) -> Bool { waited(now) >= Self.longestWrite }

    mutating func send(_ request: RequestID, _ now: Uptime) {
        unacknowledged.insert(request)
        sent.append((request, now))
    }

    /// The result is acknowledged, or its request is abandoned.
    mutating func remove(_ request: RequestID) {
        unacknowledged.remove(request)
        while let first = sent.first, !unacknowledged.contains(first.request) { sent.popFirst() }
    }

    /// The topic refused the result.
    mutating func retry(_ request: RequestID, _ now: Uptime) { retries.append((now + Self.retryPause, request)) }

    /// Removes and returns the refused results that are due to be sent again.
    mutating func takeDue(_ now: Uptime) -> [RequestID] {
        var due: [RequestID] = []
        while let first = retries.first, first.at <= now {
            retries.popFirst()
            if unacknowledged.contains(first.request) { due.append(first.request) }
        }
        return due
    }
}
