@testable import Audit
@testable import Core

/// One partition's requests and results as they are stored in their topics. Tests audit it and alter it.
struct History {
    static let topic = "plugin.start.requests"
    var requests: [Record] = []
    var results: [Record] = []
    var now = Timestamp(milliseconds: 0)
    var window: Duration = .seconds(600)

    /// Every violation that an audit finds when it reads as the command does.
    func audit(
        from begin: Int64 = 0, results first: Int64 = 0, olderThan age: Duration = .zero, partition: Int32 = 0
    ) -> [Violation] {
        var audit = PartitionAudit(
            partition: partition, rules: .init(requestsTopic: Self.topic, dedupeWindow: window), requests: begin,
            results: first)
        return go(on: &audit, olderThan: age)
    }

    func go(on audit: inout PartitionAudit, olderThan age: Duration = .zero) -> [Violation] {
        var found: [Violation] = []
        var waiting = requests.filter { $0.position.offset >= audit.requestsRead }[...]
        func read(through offset: Int64, _ audit: inout PartitionAudit) {
            while let next = waiting.first, next.position.offset <= offset {
                audit.take(request: next)
                waiting.removeFirst()
            }
        }
        for record in results where record.position.offset >= audit.resultsRead {
            let reading = ResultReading.read(record)
            if case .success(let result) = reading { read(through: result.request.offset, &audit) }
            found += audit.take(result: record, reading)
        }
        read(through: .max, &audit)
        return found + audit.finish(now: now, olderThan: age)
    }

    // MARK: Reading

    func value(_ index: Int) -> JSON { results[index].value.flatMap { try? JSON(parsing: $0) } ?? .null }

    /// The result's status, from its headers.
    func status(_ index: Int) -> Status? {
        results[index].header("ce_id")?.split(separator: "/").last.flatMap { Status(rawValue: String($0)) }
    }

    func request(_ index: Int) -> Int64 { value(index)["request"]?["offset"]?.integer ?? -1 }

    /// Indices of results with one of these statuses.
    func places(_ statuses: Status...) -> [Int] {
        results.indices.filter { index in status(index).map(statuses.contains) ?? false }
    }

    // MARK: Altering

    /// Appends a record to the results.
    mutating func append(_ record: Record) {
        var record = record
        record.position.offset = (results.last?.position.offset ?? -1) + 1
        results.append(record)
    }

    /// Sets a member of a result's value; nil removes it. Headers stay as they are.
    mutating func set(_ index: Int, _ path: [String], _ value: JSON?) {
        results[index].value = self.value(index).setting(path[...], value).bytes
    }

    mutating func setHeader(_ index: Int, _ name: String, _ text: String) {
        results[index].headers.removeAll { $0.name == name }
        results[index].headers.append(Header(name, text))
    }

    /// Makes id, type and causation match the value, as a deliberate alteration would.
    mutating func seal(_ index: Int) {
        let value = value(index)
        let status = value["status"]?.string ?? ""
        let position = "\(Self.topic)/\(value["request"]?["partition"]?.integer ?? -1)/\(request(index))"
        setHeader(index, "ce_id", "\(position)/\(status)")
        setHeader(index, "ce_type", "hss.plugin.start.\(status).v1")
        setHeader(index, "ce_causationid", position)
    }

    /// Changes the status, with all that belongs to it.
    mutating func turn(_ index: Int, into status: Status) {
        set(index, ["status"], .string(status.rawValue))
        let isOutcome = [.succeeded, .failed].contains(status)
        let error = JSON.object([
            .init("code", .string("x")), .init("category", .string("request")), .init("retryable", .bool(false)),
        ])
        set(index, ["error"], status == .succeeded || status == .duplicate ? nil : error)
        set(index, ["call"], isOutcome ? .object([.init("id", .string("c"))]) : nil)
        set(index, ["attempts"], .integer(isOutcome ? 1 : 0))
        set(index, ["failed_hosts"], nil)
        if isOutcome { set(index, ["original"], nil) }
        seal(index)
    }
}

extension JSON {
    func setting(_ path: ArraySlice<String>, _ value: JSON?) -> JSON {
        guard let name = path.first, case .object(var members) = self else { return self }
        let inner = path.count == 1 ? value : (self[name] ?? .object([])).setting(path.dropFirst(), value)
        if let place = members.firstIndex(where: { $0.name == name }) {
            if let inner { members[place].value = inner } else { members.remove(at: place) }
        } else if let inner {
            members.append(.init(name, inner))
        }
        return .object(members)
    }
}
