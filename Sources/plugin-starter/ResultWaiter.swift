internal import Core
internal import Kafka
internal import Reporting
internal import Settings
internal import Worker

/// Waits for the results of the requests that were sent.
nonisolated struct ResultWaiter {
    /// More requests than this do not wait at the same time, which bounds memory.
    static let maximumOpen = 100_000
    private static let maximumGroups = 100

    /// Results that failed alike: how many, and what to do about them.
    private struct Group {
        var count = 0
        var text: String
    }

    /// How long to wait after the last request.
    let time: Duration
    private let stream: ResultStream
    private let requestsTopic: String
    private(set) var open: [Position: OutgoingRequest] = [:]
    private var statuses = Histogram()
    private var groups: [String: Group] = [:]
    private(set) var hasFailures = false

    init(_ settings: Settings, _ kafka: ClientConfiguration, time: Duration) throws(CommandFailure) {
        self.time = time
        requestsTopic = settings.value(SettingTable.requestsTopic)
        stream = try ResultStream(settings, kafka, start: .end)
    }

    var isFull: Bool { open.count >= Self.maximumOpen }

    mutating func expect(_ request: OutgoingRequest, at position: Position) {
        // Only the key is needed from now on.
        open[position] = OutgoingRequest(key: request.key, value: [], line: request.line)
    }

    /// The result of one of the requests, within that time. There is no point in asking before every request that was
    /// sent is expected.
    mutating func next(milliseconds: Int32) throws(CommandFailure) -> JSON? {
        let deadline = Clock.uptime + .milliseconds(Int64(milliseconds))
        repeat {
            let left = max(0, Int32(clamping: (deadline - Clock.uptime).milliseconds))
            guard case .result(let record, let entry) = try stream.next(milliseconds: left) else { continue }
            guard entry.source.map({ $0.topic == requestsTopic }) ?? true, open[entry.position] != nil,
                let result = record.value.flatMap({ try? JSON(parsing: $0) })
            else { continue }
            open[entry.position] = nil
            count(result)
            return result
        } while Clock.uptime < deadline
        return nil
    }

    private mutating func count(_ result: JSON) {
        let outcome = Outcome(result)
        statuses.add(result["status"]?.string ?? "")
        guard !outcome.isSuccess else { return }
        hasFailures = true
        let (status, code) = (result["status"]?.string ?? "", result["error"]?["code"]?.string)
        // The worker's own codes have the name of the status.
        let name = code == nil || code == status ? status : "\(status) \(code ?? "")"
        guard groups[name] != nil || groups.count < Self.maximumGroups else { return }
        let text = [result["error"]?["title"]?.string.map { "\($0)." }, outcome.remedy].compactMap { $0 }
        groups[name, default: Group(text: text.joined(separator: " "))].count += 1
    }

    /// The counts by status, then what to do about each kind of failure.
    var summary: [String] {
        let counts = statuses.sorted.map { "\($0.count) \($0.name)" }
        let missing = open.isEmpty ? [] : ["\(open.count) without a result"]
        let lines = groups.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }.map {
            "\($0.value.count) \($0.key): \($0.value.text)".printable
        }
        return [(counts + missing).joined(separator: ", ")] + lines
    }
}

/// What a result says to the sender of the request.
nonisolated struct Outcome {
    let isSuccess: Bool
    /// Code, title and detail of the error.
    let error: String?
    /// What to do next; nil for a success.
    let remedy: String?

    init(_ result: JSON) {
        let status = Status(rawValue: result["status"]?.string ?? "")
        let original = result["original"]?["status"]?.string.flatMap(Status.init)
        // A duplicate has the same outcome as its original.
        isSuccess = (status == .duplicate ? original : status) == .succeeded
        let error = result["error"]
        self.error = error?["title"]?.string.map { title in
            "\(error?["code"]?.string ?? "") \(title)\(error?["detail"]?.string.map { ": \($0)" } ?? "")".printable
        }
        remedy = status.flatMap {
            Remedy.text(
                $0, category: error?["category"]?.string.flatMap(Failure.Category.init),
                isRetryable: error?["retryable"]?.bool ?? false, original: original)
        }
    }
}
