package import Core

/// One record of the results topic, read only from its value and its `ce_` headers. The headers that the worker keeps
/// for itself are not read, because they could be right beside a wrong value.
package struct ResultReading {
    /// The position in the results topic.
    let position: Position
    let status: Status
    /// The request's position, from the value.
    package let request: Position
    let requestTimestamp: Timestamp?
    let completedAt: Timestamp
    let value: JSON
    let recordKey: [UInt8]?
    /// When the record was appended or produced.
    let recordTime: Timestamp?
    private let record: Record

    /// Why a record cannot be read as a result.
    package struct Unreadable: Error { var reason: String }

    package static func read(_ record: Record) -> Result<ResultReading, Unreadable> {
        do throws(Unreadable) { return .success(try ResultReading(record)) } catch { return .failure(error) }
    }

    package init(_ record: Record) throws(Unreadable) {
        guard let bytes = record.value else { throw Unreadable(reason: "the record has no value") }
        do throws(JSON.SyntaxError) { value = try JSON(parsing: bytes) } catch {
            throw Unreadable(reason: "the value is not JSON: \(error)")
        }
        guard let status = value["status"]?.string.flatMap(Status.init(rawValue:)) else {
            throw Unreadable(reason: "status is missing or unknown")
        }
        guard let partition = value["request"]?["partition"]?.integer.flatMap(Int32.init(exactly:)),
            let offset = value["request"]?["offset"]?.integer, partition >= 0, offset >= 0
        else { throw Unreadable(reason: "request has no valid partition and offset") }
        guard let completedAt = value["completed_at"]?.string.flatMap(Timestamp.init(rfc3339:)) else {
            throw Unreadable(reason: "completed_at is not a time")
        }
        self.status = status
        request = Position(partition: partition, offset: offset)
        requestTimestamp = value["request"]?["timestamp"]?.string.flatMap(Timestamp.init(rfc3339:))
        self.completedAt = completedAt
        position = record.position
        recordKey = record.key
        recordTime = record.timestamp
        self.record = record
    }

    /// The record that the result was made for, from the worker's own header. It is used only to distinguish a result
    /// of a record that is gone from an altered result.
    var source: LedgerEntry.Source? { LedgerEntry(record)?.source }
    /// The id that the result must have.
    var id: String { Self.id(value["request"]?["topic"]?.string ?? "", request, status.rawValue) }
    /// Whether the result belongs to another requests topic, and its value and headers agree on that.
    func isOfAnotherTopic(than topic: String) -> Bool {
        guard let told = value["request"]?["topic"]?.string, told != topic else { return false }
        return header("ce_id") == id && header("ce_causationid") == "\(told)/\(request)"
    }

    func header(_ name: String) -> String? { record.header(name) }

    var key: String? { value["idempotency_key"]?.string }
    var category: String? { value["error"]?["category"]?.string }
    var isRetryable: Bool { value["error"]?["retryable"]?.bool ?? false }
    /// Whether the result occupies its key. It is then the first outcome, with which repeats are answered.
    var isOutcome: Bool { [.succeeded, .partiallySucceeded, .failed].contains(status) }
    var isRepeat: Bool { [.duplicate, .conflict].contains(status) }

    /// The worker rejects a record that is too long without reading it, so the result repeats nothing of it. The limit
    /// is a setting of the worker.
    var isRefusalOfSize: Bool { detail.hasPrefix("value must be at most ") && category == "invalid" }
    func refusesSize(of count: Int) -> Bool { detail.hasSuffix(" bytes, and is \(count)") }
    private var detail: String { value["error"]?["detail"]?.string ?? "" }

    /// The result's id, which consists of the topic, partition and offset of the request, and the status.
    static func id(_ topic: String, _ request: Position, _ status: String) -> String { "\(topic)/\(request)/\(status)" }
}

extension ResultReading {
    /// Where the record contradicts itself or the contract, whatever its request was; one sentence each.
    func faults(requestsTopic topic: String) -> [String] {
        var found: [String] = []
        func check(_ name: String, _ told: String?, _ expected: String?) {
            guard told.map(ExactText.init) != expected.map(ExactText.init) else { return }
            found.append("\(name) is \(told.map { "\"\($0)\"" } ?? "absent"), not \(expected ?? "absent")")
        }
        check("request.topic", value["request"]?["topic"]?.string, topic)
        check("ce_id", header("ce_id"), Self.id(topic, request, status.rawValue))
        check("ce_type", header("ce_type"), "hss.plugin.start.\(status.rawValue).v1")
        check("ce_specversion", header("ce_specversion"), "1.0")
        check("content-type", header("content-type"), "application/json")
        check("ce_subject", header("ce_subject"), ResultWriter.attribute(key))
        check("ce_time", header("ce_time"), value["completed_at"]?.string)
        check(
            "ce_correlationid", header("ce_correlationid"), ResultWriter.attribute(value["correlation_id"]?.string))
        check("ce_causationid", header("ce_causationid"), "\(topic)/\(request)")
        if header("ce_source")?.isEmpty ?? true { found.append("ce_source is absent") }
        return found + shape
    }

    /// Checks the members that the status allows and requires.
    private var shape: [String] {
        var found: [String] = []
        func expect(_ isRight: Bool, _ sentence: String) { if !isRight { found.append(sentence) } }
        let error = value["error"]
        let originalSucceeded = value["original"]?["status"]?.string == Status.succeeded.rawValue
        let wantsError = status != .succeeded && !(status == .duplicate && originalSucceeded)
        expect((error != nil) == wantsError, wantsError ? "error is absent" : "error is present")
        // No call was made if a read of the hosts' states showed that HSS would refuse all of them.
        let needsNoCall = status == .failed && value["evidence"]?.string == "observed"
        expect(
            isOutcome == (value["call"] != nil) || needsNoCall, isOutcome ? "call is absent" : "call is present")
        expect(isRepeat == (value["original"] != nil), isRepeat ? "original is absent" : "original is present")
        if let error {
            expect(error["code"]?.string != nil && error["retryable"]?.bool != nil, "error has no code or retryable")
        }
        switch status {
        case .rejected: expect(["invalid", "policy"].contains(category), "error.category is not invalid or policy")
        case .expired: expect(category == "expired", "error.category is not expired")
        default: break
        }
        if let attempts = value["attempts"]?.integer {
            expect(attempts == 0 || isOutcome, "attempts is \(attempts), but no call was made")
            expect(attempts >= 0, "attempts is negative")
        } else {
            found.append("attempts is absent")
        }
        return found + hostFaults
    }

    private var hostFaults: [String] {
        let all = value["host_id_list"]?.array
        guard let failed = value["failed_hosts"]?.array else {
            // Without the list of hosts the record was shortened, which also removed the list of failed hosts.
            return status == .partiallySucceeded && all != nil ? ["failed_hosts is absent"] : []
        }
        guard status == .partiallySucceeded else { return ["failed_hosts is present"] }
        let names = failed.map { $0["host_id"]?.string.map(ExactText.init) }
        // Without the list of hosts the record was shortened.
        guard all != nil else { return failed.isEmpty ? ["failed_hosts is empty"] : [] }
        let known = Set((all ?? []).compactMap { $0.string.map(ExactText.init) })
        guard names.allSatisfy({ $0.map(known.contains) ?? false }) else { return ["failed_hosts has an unknown host"] }
        if names.isEmpty || Set(names).count >= known.count { return ["failed_hosts is empty or names all hosts"] }
        return []
    }
}
