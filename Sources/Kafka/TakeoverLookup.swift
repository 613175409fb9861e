internal import CLinux
package import Core
internal import Glibc
internal import Synchronization

/// The facts that a takeover of a partition needs.
package struct Takeover: Sendable {
    /// The offset of the first result at or after the requested time, or of the first result of all if an open request
    /// is older. Nil if there is none.
    package var resultsFrom: Int64?
    /// The offset that the group has committed for the partition's requests. Nil if there is none. `metadata` is the
    /// text beside it.
    package var committed: Int64?
    package var metadata = ""
    /// The offsets of the available requests.
    package var requests: Range<Int64> = 0..<0

    /// Whether the committed offset is beyond the log's end. Then the topic was created again, or records were lost in
    /// an election.
    package var isBeyondEnd: Bool { committed.map { $0 > requests.upperBound } ?? false }
    /// The offset where reading must begin. A commit for a log that is gone means nothing for this log.
    package var start: Int64 { isBeyondEnd ? requests.lowerBound : max(committed ?? 0, requests.lowerBound) }
    /// Requests that are not committed and no longer exist.
    package var deleted: Range<Int64>? {
        guard let committed, committed < requests.lowerBound else { return nil }
        return committed..<requests.lowerBound
    }
}

/// Looks up what the takeover of partitions needs, on its own thread, because librdkafka offers only blocking calls for
/// that. The loop reads the answer when the descriptor becomes readable.
package final class TakeoverLookup {
    /// The topics, the group, the partitions and the time to look up.
    package struct Subject: Sendable {
        package var requestsTopic: String
        package var resultsTopic: String
        package var group: String
        /// Nil means all current partitions of the requests topic.
        package var partitions: [Int32]?
        /// Results before this time are not requested.
        package var since: Timestamp

        package init(
            requestsTopic: String, resultsTopic: String, group: String, partitions: [Int32]?, since: Timestamp
        ) {
            self.requestsTopic = requestsTopic
            self.resultsTopic = resultsTopic
            self.group = group
            self.partitions = partitions
            self.since = since
        }
    }

    private let answer = Answer()
    package var descriptor: Int32 { answer.descriptor }

    /// The state that the two threads share.
    private final class Answer: Sendable {
        let value = Mutex<Result<[Int32: Takeover], KafkaError>?>(nil)
        let descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        deinit { close(descriptor) }

        func give(_ result: Result<[Int32: Takeover], KafkaError>) {
            value.withLock { $0 = result }
            var one: UInt64 = 1
            unsafe _ = write(descriptor, &one, MemoryLayout<UInt64>.size)
        }
    }

    private struct Question: Sendable {
        let configuration: ClientConfiguration
        let subject: Subject
        private static let patience: Int32 = 5000

        /// The offset of each partition's first record at or after the requested time. Partitions without one are
        /// absent.
        private func young(_ reader: PartitionReader, _ partitions: [Int32]) throws(KafkaError) -> [Int32: Int64] {
            try reader.firstOffsets(at: subject.since, partitions, milliseconds: Self.patience)
        }

        /// All partitions of the requests topic. Throws if the results topic has fewer.
        private func all(_ requests: PartitionReader, _ results: PartitionReader) throws(KafkaError) -> [Int32] {
            let count = try requests.partitionCount(milliseconds: Self.patience)
            let room = try results.partitionCount(milliseconds: Self.patience)
            guard count <= room else {
                throw KafkaError.missing(
                    "\(subject.resultsTopic) with the \(count) partitions that \(subject.requestsTopic) has: "
                        + "add partitions to it"
                )
            }
            return (0..<Int32(count)).map { $0 }
        }

        func ask() -> Result<[Int32: Takeover], KafkaError> {
            do throws(KafkaError) {
                let requests = try PartitionReader(configuration, topic: subject.requestsTopic, group: subject.group)
                let results = try PartitionReader(configuration, topic: subject.resultsTopic)
                let partitions = if let named = subject.partitions { named } else { try all(requests, results) }
                var found = Dictionary(uniqueKeysWithValues: partitions.map { ($0, Takeover()) })
                for (partition, offset) in try young(results, partitions) { found[partition]?.resultsFrom = offset }
                for (partition, mark) in try requests.committed(partitions, milliseconds: Self.patience) {
                    found[partition]?.committed = mark.offset
                    found[partition]?.metadata = mark.metadata
                }
                let young = try young(requests, partitions)
                for partition in partitions {
                    let there = try requests.range(partition, milliseconds: Self.patience)
                    found[partition]?.requests = there
                    // A record after an open request may have its result from before the window. If the committed
                    // offset is not credible, any record may.
                    guard let takeover = found[partition],
                        takeover.isBeyondEnd || takeover.start < young[partition] ?? there.upperBound
                    else { continue }
                    let all = try results.range(partition, milliseconds: Self.patience)
                    if !all.isEmpty { found[partition]?.resultsFrom = all.lowerBound }
                }
                return .success(found)
            } catch {
                return .failure(error)
            }
        }
    }

    package init(_ configuration: ClientConfiguration, _ subject: Subject) {
        let question = Question(configuration: configuration, subject: subject)
        let answer = answer
        if !DetachedThread.start({ answer.give(question.ask()) }) { answer.give(.failure(.timedOut)) }
    }

    /// The answer, once it is available. Returns it only once.
    package func take() -> Result<[Int32: Takeover], KafkaError>? {
        var count: UInt64 = 0
        unsafe _ = read(answer.descriptor, &count, MemoryLayout<UInt64>.size)
        return answer.value.withLock { value in
            defer { value = nil }
            return value
        }
    }
}
