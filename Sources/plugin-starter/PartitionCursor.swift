internal import Core
internal import Glibc
internal import Kafka
internal import Worker

/// Reads a topic one partition after another, or all side by side, each between two offsets that were pinned before.
nonisolated final class PartitionCursor {
    /// A broker that is silent for so long counts as unreachable.
    private static let patience: Duration = .seconds(30)

    private let reader: PartitionReader
    private let kafka: ClientConfiguration
    private let topic: String
    private var partition: Int32 = 0
    private(set) var position: Int64 = 0
    private var end: Int64 = 0

    init(_ topic: String, _ kafka: ClientConfiguration) throws(CommandFailure) {
        self.topic = topic
        self.kafka = kafka
        do throws(KafkaError) { reader = try PartitionReader(kafka, topic: topic) } catch {
            throw Topics.failure(error, kafka, topic: topic)
        }
    }

    var isAtEnd: Bool { position >= end }

    func begin(_ partition: Int32, _ range: Range<Int64>) throws(CommandFailure) {
        self.partition = partition
        (position, end) = (range.lowerBound, range.upperBound)
        guard !isAtEnd else { return }
        do throws(KafkaError) { try reader.read([(partition, .offset(position))]) } catch {
            throw Topics.failure(error, kafka, topic: topic)
        }
    }

    /// The offsets that a partition has now.
    func range(_ partition: Int32) throws(CommandFailure) -> Range<Int64> {
        try ask { () throws(KafkaError) in try reader.range(partition, milliseconds: 10_000) }
    }

    /// The first offset of each partition at or after the time. A partition without such a record has none.
    func offsets(at time: Timestamp, _ partitions: [Int32]) throws(CommandFailure) -> [Int32: Int64] {
        let starts = try ask { () throws(KafkaError) in
            try reader.offsets(at: time, partitions, milliseconds: 10_000)
        }
        var found: [Int32: Int64] = [:]
        for (partition, start) in starts {
            switch start {
            case .offset(let offset): found[partition] = offset
            case .beginning: found[partition] = try range(partition).lowerBound
            case .end: continue
            }
        }
        return found
    }

    /// What the partitions hold now, or of that the records from the time on.
    func ranges(_ partitions: [Int32], since time: Timestamp?) throws(CommandFailure) -> [Int32: Range<Int64>] {
        let starts = try time.map { (time) throws(CommandFailure) in try offsets(at: time, partitions) }
        var ranges: [Int32: Range<Int64>] = [:]
        for partition in partitions {
            let range = try range(partition)
            let start = max(range.lowerBound, starts.map { $0[partition] ?? range.upperBound } ?? range.lowerBound)
            ranges[partition] = start..<max(start, range.upperBound)
        }
        return ranges
    }

    /// Repeats a failed query for some seconds. A new partition, or one whose broker just went away, has no leader for
    /// a moment.
    private func ask<Answer>(_ question: () throws(KafkaError) -> Answer) throws(CommandFailure) -> Answer {
        let deadline = Clock.uptime + .seconds(10)
        while true {
            do throws(KafkaError) { return try question() } catch {
                let isLasting = [.notPermitted, .insecure, .configuration].contains(error.kind)
                if isLasting || Clock.uptime >= deadline { throw Topics.failure(error, kafka, topic: topic) }
                usleep(100_000)
            }
        }
    }

    /// Passes on every record of these ranges, in the order of each partition, until `isStopped`.
    func read(
        _ ranges: [Int32: Range<Int64>], until isStopped: () -> Bool, _ take: (Record) throws(CommandFailure) -> Void
    ) throws(CommandFailure) {
        var left = ranges.filter { !$0.value.isEmpty }
        guard !left.isEmpty else { return }
        do throws(KafkaError) { try reader.read(left.map { ($0.key, .offset($0.value.lowerBound)) }) } catch {
            throw Topics.failure(error, kafka, topic: topic)
        }
        var deadline = Clock.uptime + Self.patience
        while !left.isEmpty && !isStopped() {
            switch reader.next(milliseconds: 100) {
            case .record(let record):
                let (partition, offset) = (record.position.partition, record.position.offset)
                guard let range = left[partition], offset >= range.lowerBound else { continue }
                left[partition] = offset + 1 < range.upperBound ? offset + 1..<range.upperBound : nil
                deadline = Clock.uptime + Self.patience
                if offset < range.upperBound { try take(record) }
            case .end(let partition): left[partition] = nil
            case .failed(let error): try check(error)
            case nil: if Clock.uptime >= deadline { throw silent(left.keys.min() ?? 0) }
            }
        }
    }

    /// librdkafka retries by itself what can pass.
    private func check(_ error: KafkaError) throws(CommandFailure) {
        guard [.notPermitted, .insecure, .missing].contains(error.kind) else { return }
        throw Topics.failure(error, kafka, topic: topic)
    }

    private func silent(_ partition: Int32) -> CommandFailure {
        CommandFailure(69, "no record of \(topic) [\(partition)] for 30s")
    }

    /// The next record; nil at the end, or when `isStopped`.
    func next(until isStopped: () -> Bool) throws(CommandFailure) -> Record? {
        let deadline = Clock.uptime + Self.patience
        while !isAtEnd && !isStopped() {
            switch reader.next(milliseconds: 100) {
            case .record(let record):
                guard record.position.partition == partition, record.position.offset >= position else { continue }
                position = record.position.offset + 1
                if record.position.offset >= end {
                    // The offsets between the last record and the pinned end hold no records.
                    position = end
                    return nil
                }
                return record
            case .end(let ended): if ended == partition { position = end }
            case .failed(let error): try check(error)
            case nil: if Clock.uptime >= deadline { throw silent(partition) }
            }
        }
        return nil
    }
}
