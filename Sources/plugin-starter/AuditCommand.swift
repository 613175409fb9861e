internal import Audit
internal import Core
internal import Kafka
internal import Settings
internal import Worker

/// `audit`: compares the results topic with the requests topic, one pair of partitions after another.
nonisolated enum AuditCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let reading = try AuditReading(settings)
        let file = settings[SettingTable.state]
        var state = try AuditState.load(file, settings)
        var report = AuditReport(settings)
        // Writes the state now, so that a file that cannot be written is found before hours of reading.
        try leave(state, in: file)
        let spans = try reading.pin(since: settings[SettingTable.since], state)
        var findings = Findings()
        for span in spans where !reading.isStopped() {
            let audit = try reading.audit(span, &report)
            findings += audit.findings
            if file != nil { state.partitions[audit.partition] = audit }
        }
        try leave(state, in: file)
        let isProven = findings.isProven(allowingRepeats: settings.value(SettingTable.allowRepeats))
        report.end(findings, isProven: isProven, isWhole: !reading.wasStopped)
        if !isProven { return 1 }
        return reading.wasStopped ? 75 : 0
    }

    private static func leave(_ state: AuditState, in file: String?) throws(CommandFailure) {
        guard let file, !File.replace(file, state.write) else { return }
        throw CommandFailure(64, "state: \(file) cannot be written")
    }
}

extension AuditState {
    /// Loads the state from the file, if there is one.
    fileprivate static func load(_ file: String?, _ settings: Settings) throws(CommandFailure) -> AuditState {
        let rules = PartitionAudit.Rules(
            requestsTopic: settings.value(SettingTable.requestsTopic),
            dedupeWindow: settings.value(SettingTable.dedupeWindow))
        let fresh = AuditState(rules: rules, resultsTopic: settings.value(SettingTable.resultsTopic), partitions: [:])
        guard let file, File.isThere(file) else { return fresh }
        // Far more than a day of requests leaves behind.
        guard let bytes = File.read(file, atMost: 4 << 30) else {
            throw CommandFailure(64, "state: \(file) cannot be read")
        }
        let state: AuditState
        do throws(Fault) { state = try AuditState(reading: bytes) } catch {
            throw CommandFailure(64, "state: \(file) \(error.rule)")
        }
        func check(_ name: String, _ here: String, _ there: String) throws(CommandFailure) {
            guard here != there else { return }
            throw CommandFailure(64, "state: \(file) was made with --\(name) \(there), not \(here)")
        }
        try check("requests-topic", rules.requestsTopic, state.rules.requestsTopic)
        try check("results-topic", fresh.resultsTopic, state.resultsTopic)
        try check("dedupe-window", rules.dedupeWindow.unitText, state.rules.dedupeWindow.unitText)
        return state
    }
}

/// Reads both topics side by side.
nonisolated final class AuditReading {
    /// A pair of partitions, what the audit knows of it so far, and how far to read.
    struct Span {
        var audit: PartitionAudit
        var requestsEnd: Int64
        var resultsEnd: Int64
    }

    private let requests: PartitionCursor
    private let results: PartitionCursor
    private let counts: (requests: Int, results: Int)
    private let olderThan: Duration
    private let signals = Signals()
    private(set) var wasStopped = false
    private var now = Clock.wall

    init(_ settings: Settings) throws(CommandFailure) {
        let kafka = try settings.kafka()
        let names = (settings.value(SettingTable.requestsTopic), settings.value(SettingTable.resultsTopic))
        counts = (try Topics.partitions(names.0, kafka), try Topics.partitions(names.1, kafka))
        requests = try PartitionCursor(names.0, kafka)
        results = try PartitionCursor(names.1, kafka)
        olderThan = settings.value(SettingTable.olderThan)
    }

    func isStopped() -> Bool {
        if signals.next() != nil { wasStopped = true }
        return wasStopped
    }

    /// Where to begin and to end in each partition. The results' end is pinned before the requests' end. So the request
    /// of every result that is read is read too, and a request made at that moment is younger than any age.
    func pin(since: Duration?, _ state: AuditState) throws(CommandFailure) -> [Span] {
        now = Clock.wall
        let numbers = (0..<Int32(max(counts.requests, counts.results))).map { $0 }
        var resultRanges: [Int32: Range<Int64>] = [:]
        var requestRanges: [Int32: Range<Int64>] = [:]
        for number in numbers.prefix(counts.results) { resultRanges[number] = try results.range(number) }
        for number in numbers.prefix(counts.requests) { requestRanges[number] = try requests.range(number) }
        var starts: (requests: [Int32: Int64], results: [Int32: Int64])?
        if let since {
            // Results are read from one dedupe window earlier, so that the originals of repeats are known.
            let time = now + (.zero - since)
            let earlier = time + (.zero - state.rules.dedupeWindow)
            starts = (
                try requests.offsets(at: time, Array(numbers.prefix(counts.requests))),
                try results.offsets(at: earlier, Array(numbers.prefix(counts.results)))
            )
        }
        return try numbers.map { (number) throws(CommandFailure) in
            let request = requestRanges[number] ?? 0..<0
            let result = resultRanges[number] ?? 0..<0
            let ends = (requests: request.upperBound, results: result.upperBound)
            if let known = state.partitions[number] {
                try check(known, request, result)
                return Span(audit: known, requestsEnd: ends.requests, resultsEnd: ends.results)
            }
            let audit = PartitionAudit(
                partition: number, rules: state.rules,
                requests: starts.map { $0.requests[number] ?? ends.requests } ?? request.lowerBound,
                results: starts.map { $0.results[number] ?? ends.results } ?? result.lowerBound)
            return Span(audit: audit, requestsEnd: ends.requests, resultsEnd: ends.results)
        }
    }

    private func check(
        _ known: PartitionAudit, _ requests: Range<Int64>, _ results: Range<Int64>
    ) throws(CommandFailure) {
        let number = known.partition
        if known.requestsRead > requests.upperBound || known.resultsRead > results.upperBound {
            throw CommandFailure(
                64, "state: the saved position in partition \(number) is past the end, so it is of other topics")
        }
        if known.resultsRead < results.lowerBound {
            throw CommandFailure(
                64,
                "state: results of partition \(number) were deleted before they were read, from \(known.resultsRead) to "
                    + "\(results.lowerBound): start again with a new file")
        }
    }

    /// Reads the pair to its ends, or until a signal stops it.
    func audit(_ span: Span, _ report: inout AuditReport) throws(CommandFailure) -> PartitionAudit {
        var audit = span.audit
        try requests.begin(audit.partition, audit.requestsRead..<max(audit.requestsRead, span.requestsEnd))
        try results.begin(audit.partition, audit.resultsRead..<max(audit.resultsRead, span.resultsEnd))
        while let record = try results.next(until: isStopped) {
            let reading = ResultReading.read(record)
            if case .success(let result) = reading, result.request.partition == audit.partition {
                try readRequests(through: result.request.offset, into: &audit)
                // The result's request may not have been read yet. Both are read when the audit continues.
                if wasStopped { return audit }
            }
            report.show(audit.take(result: record, reading))
        }
        try readRequests(through: .max, into: &audit)
        if wasStopped { return audit }
        audit.reached(requests: span.requestsEnd, results: span.resultsEnd)
        report.show(audit.finish(now: now, olderThan: olderThan))
        return audit
    }

    private func readRequests(through offset: Int64, into audit: inout PartitionAudit) throws(CommandFailure) {
        while requests.position <= offset, let record = try requests.next(until: isStopped) {
            // Retention deletes whole segments. Smaller gaps come from compaction and transactions.
            if record.position.offset - audit.requestsRead > 100 {
                audit.requestsBegin(at: min(try requests.range(audit.partition).lowerBound, record.position.offset))
            }
            audit.take(request: record)
        }
    }
}
