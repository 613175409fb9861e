internal import Core
internal import Glibc
internal import Kafka
internal import Redriving
internal import Settings
internal import Worker

/// Reads the topics from which `redrive` chooses.
///
/// A run that was killed leaves its copies in the requests topic, and each names the result that it sends again. So the
/// next run finds out there what was sent. A copy of the killed run could still be on its way to the broker. Where the
/// newest copy is only a moment old, the reading waits and looks again.
nonisolated final class RedriveReading {
    /// Longer than a record is on its way after its sender has died.
    private static let settling: Duration = .seconds(1)

    let source: String
    private var selection: RedriveSelection
    private let isDeadLetters: Bool
    private let since: Duration?
    private let until: Timestamp?
    private let from: PartitionCursor
    private let requests: PartitionCursor
    private let fromCount: Int
    private let requestsCount: Int
    private let stop: StopSignal
    /// The next offset to read of the requests topic.
    private var positions: [Int32: Int64] = [:]

    init(
        _ settings: Settings, _ rules: RedriveSelection.Rules, _ stop: StopSignal
    ) throws(CommandFailure) {
        let kafka = try settings.kafka()
        let letters = settings[SettingTable.deadLetterTopic]
        isDeadLetters = letters != nil
        source = letters ?? settings.value(SettingTable.resultsTopic)
        since = settings[SettingTable.since]
        until = try settings.untilTime()
        self.stop = stop
        requestsCount = try Topics.partitions(rules.requestsTopic, kafka)
        fromCount = try Topics.partitions(source, kafka)
        from = try PartitionCursor(source, kafka)
        requests = try PartitionCursor(rules.requestsTopic, kafka)
        selection = RedriveSelection(rules)
    }

    /// Results or dead letters that were read.
    var read: Int { selection.read }

    /// The copy of a request that was sent before.
    func copy(of request: Position) -> Record? { selection.copy(of: request) }

    /// Everything that matches, sorted into what can be sent and what not.
    func choose() throws(CommandFailure) -> RedriveChoice {
        try readCandidates()
        for (partition, offset) in selection.firstOffsets where partition < Int32(requestsCount) {
            positions[partition] = offset
        }
        try readNewRequests()
        return selection.finish(now: Clock.wall)
    }

    /// Reads what was appended to the requests topic, until no copy is on its way any more.
    func readNewRequests() throws(CommandFailure) {
        while !stop.isRaised() {
            var ranges: [Int32: Range<Int64>] = [:]
            for (partition, position) in positions {
                let range = try requests.range(partition)
                let start = max(range.lowerBound, position)
                ranges[partition] = start..<max(start, range.upperBound)
            }
            // The time of the last copy.
            var newest: Timestamp?
            try requests.read(ranges, until: stop.isRaised) { record in
                selection.take(request: record)
                if let time = record.timestamp, record.headers.contains(where: { $0.name == Redrive.ofHeader }) {
                    newest = max(newest ?? time, time)
                }
            }
            positions = ranges.mapValues(\.upperBound)
            guard let newest, Clock.wall - newest < Self.settling else { return }
            let deadline = Clock.uptime + Self.settling
            while Clock.uptime < deadline && !stop.isRaised() { usleep(20_000) }
        }
    }

    private func readCandidates() throws(CommandFailure) {
        let partitions = (0..<Int32(fromCount)).map { $0 }
        let time = since.map { Clock.wall + (.zero - $0) }
        try from.read(try from.ranges(partitions, since: time), until: stop.isRaised) {
            (record) throws(CommandFailure) in
            if let time, let made = record.timestamp, made < time { return }
            take(record)
            guard !selection.isTooLarge else {
                throw CommandFailure(
                    64, "more than \(RedriveSelection.maximumCandidates) requests match: choose fewer with the filters")
            }
        }
    }

    private func take(_ record: Record) {
        let isInRange = until.map { until in record.timestamp.map { $0 <= until } ?? true } ?? true
        guard !isDeadLetters else {
            if isInRange { selection.take(letter: record) }
            return
        }
        guard let entry = LedgerEntry(record), entry.position.partition == record.position.partition,
            let result = record.value.flatMap({ try? JSON(parsing: $0) })
        else { return }
        // A later result can show that the request has succeeded since.
        selection.take(result: result, entry, isInRange: isInRange)
    }
}
