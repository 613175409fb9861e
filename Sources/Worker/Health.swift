package import Core
internal import Synchronization

/// The loop's state for the admin endpoint's thread. It is a value, passed through one lock.
package struct Snapshot: Sendable {
    /// When the loop last turned.
    var turnedAt: Uptime
    /// Why no work can be done now, in words. Empty when the worker is ready.
    var notReady: [String]
    /// This worker is ready, and another worker of the group makes the calls.
    var isStandby = false
    /// What else an operator should know, in words.
    var notes: [String] = []
    var metrics: Metrics
}

package final class SnapshotBox: Sendable {
    private let value: Mutex<Snapshot>

    init(_ snapshot: Snapshot) { value = Mutex(snapshot) }

    func set(_ snapshot: Snapshot) { value.withLock { $0 = snapshot } }
    var current: Snapshot { value.withLock { $0 } }
}

/// Answers the admin endpoint's requests from the last snapshot.
package struct AdminRouter: Sendable {
    let box: SnapshotBox
    /// A loop that has not turned for this long is stuck.
    static let patience: Duration = .seconds(10)

    package func answer(method: String, path: String, uptime: Uptime) -> (status: Int, type: String, body: String) {
        guard method == "GET" || method == "HEAD" else {
            return (405, "text/plain; charset=utf-8", "only GET\n")
        }
        let snapshot = box.current
        let stuck = uptime - snapshot.turnedAt > Self.patience
        switch path {
        case "/livez":
            return stuck
                ? (
                    503, "text/plain; charset=utf-8",
                    "the main loop has not run for \(Int((uptime - snapshot.turnedAt).seconds)) s\n"
                )
                : (200, "text/plain; charset=utf-8", "ok\n")
        case "/readyz":
            let reasons = snapshot.notReady + (stuck ? ["the main loop is stuck"] : [])
            let notes = snapshot.notes.map { "note: \($0)\n" }.joined()
            return reasons.isEmpty
                ? (
                    200, "text/plain; charset=utf-8",
                    (snapshot.isStandby ? "standby\n" : "ok\n") + notes
                )
                : (503, "text/plain; charset=utf-8", reasons.map { "not ready: \($0)\n" }.joined() + notes)
        case "/metrics": return (200, "text/plain; version=0.0.4; charset=utf-8", snapshot.metrics.text)
        default: return (404, "text/plain; charset=utf-8", "try /livez, /readyz or /metrics\n")
        }
    }
}
