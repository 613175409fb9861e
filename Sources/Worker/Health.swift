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
    private let request = Mutex(PipelineRequest())

    private struct PipelineRequest: Sendable {
        var isWanted = false
        var copy: PipelineCopy?
    }

    init(_ snapshot: Snapshot) { value = Mutex(snapshot) }

    func set(_ snapshot: Snapshot) { value.withLock { $0 = snapshot } }
    var current: Snapshot { value.withLock { $0 } }

    // MARK: A copy of the pipeline, for the questions that a snapshot does not answer

    /// Asks for a copy with the next snapshot, which is at most a second away.
    func wantPipeline() { request.withLock { $0.isWanted = true } }

    /// A copy is kept only while somebody wants one, because changing the pipeline beside its copy costs memory.
    func offer(_ pipeline: Pipeline, _ now: Now) {
        request.withLock {
            if $0.isWanted {
                $0 = PipelineRequest(copy: PipelineCopy(pipeline: pipeline, at: now))
            } else if let copy = $0.copy, now.uptime - copy.at.uptime > .seconds(2) {
                $0.copy = nil
            }
        }
    }

    var pipelineCopy: PipelineCopy? { request.withLock { $0.copy } }
}

struct PipelineCopy: Sendable {
    var pipeline: Pipeline
    var at: Now
}

/// Answers the admin endpoint's requests from the last snapshot.
package struct AdminRouter: Sendable {
    let box: SnapshotBox
    /// A loop that has not turned for this long is stuck.
    static let patience: Duration = .seconds(10)

    /// How long an explanation takes: until the loop has surely passed on a copy of the pipeline.
    package static let explanationDelay: Duration = .milliseconds(1200)

    /// The idempotency key of a request for `/explain?key=KEY`; nil for any other request.
    package func keyToExplain(method: String, target: String) -> String? {
        guard method == "GET", target.hasPrefix("/explain?") else { return nil }
        let fields = target.dropFirst("/explain?".count).split(separator: "&")
        guard let field = fields.first(where: { $0.hasPrefix("key=") }) else { return nil }
        return String(percentEncoded: field.dropFirst("key=".count))
    }

    /// Must be called before `explanation`, by `explanationDelay`.
    package func beginExplanation() { box.wantPipeline() }

    /// What this worker knows about the open requests with this key, as JSON; nil where the loop did not answer.
    package func explanation(ofKey key: String) -> JSON? {
        guard let copy = box.pipelineCopy else { return nil }
        let snapshot = box.current
        let requests = copy.pipeline.explanations(ofKey: key, now: copy.at)
        return .object([
            .init("at", .string(copy.at.wall.description)), .init("idempotency_key", .string(key)),
            .init("standby", .bool(snapshot.isStandby)),
            .init("not_ready", .array(snapshot.notReady.map(JSON.string))),
            .init("open_requests", .integer(Int64(copy.pipeline.openCount))),
            .init("requests", .array(requests.map(\.json))),
        ])
    }

    /// `accept`: the header of that name.
    package func answer(
        method: String, path: String, accept: String? = nil, uptime: Uptime
    ) -> (status: Int, type: String, body: String) {
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
        case "/metrics":
            let isOpen = accept?.contains("application/openmetrics-text") ?? false
            return (
                200,
                isOpen
                    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                    : "text/plain; version=0.0.4; charset=utf-8",
                MetricTable.text(snapshot.metrics, .read(), isOpen ? .openMetrics : .prometheus)
            )
        default: return (404, "text/plain; charset=utf-8", "try /livez, /readyz, /metrics or /explain?key=KEY\n")
        }
    }
}

extension String {
    /// Nil where the text is not UTF-8 in percent-encoding (RFC 3986, section 2.1).
    init?(percentEncoded text: Substring) {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }),
                let low = rest.popFirst().flatMap({ Character(Unicode.Scalar($0)).hexDigitValue })
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        self.init(validating: bytes, as: UTF8.self)
    }
}
