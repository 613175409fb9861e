internal import CLinux
package import Core
internal import Glibc
internal import Synchronization

/// What has to be known of a partition before it is taken over.
package struct Takeover: Sendable {
    /// The first result at or after the asked time, or the first of all where a request is open that is older; nil where
    /// there is none.
    package var resultsFrom: Int64?
    /// What the group has committed for its requests, and the text beside it; nil where nothing was.
    package var committed: Int64?
    package var metadata = ""
    /// The requests that there are.
    package var requests: Range<Int64> = 0..<0

    /// Whether more was committed than there is: the topic was created again, or records were lost in an election.
    package var isBeyondEnd: Bool { committed.map { $0 > requests.upperBound } ?? false }
    /// Where reading has to begin: what was committed of a log that is gone says nothing of this one.
    package var start: Int64 { isBeyondEnd ? requests.lowerBound : max(committed ?? 0, requests.lowerBound) }
    /// Requests that were not committed and are no longer there.
    package var deleted: Range<Int64>? {
        guard let committed, committed < requests.lowerBound else { return nil }
        return committed..<requests.lowerBound
    }
}

/// Asks what has to be known of partitions before they are taken over, which librdkafka can only do by waiting, on a thread
/// of its own: the loop reads the answer when the descriptor says that it is there.
package final class TakeoverLookup {
    /// Whose partitions, and what of them.
    package struct Subject: Sendable {
        package var requestsTopic: String
        package var resultsTopic: String
        package var group: String
        /// Nil: all that the requests topic has now.
        package var partitions: [Int32]?
        /// Results before this are not asked for.
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

    /// What the two threads share.
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

        /// For each partition the first record at or after the asked time; absent where there is none.
        private func young(_ reader: Reader, _ partitions: [Int32]) throws(KafkaError) -> [Int32: Int64] {
            try reader.firstOffsets(at: subject.since, partitions, milliseconds: Self.patience)
        }

        /// Partitions of the requests topic, as far as the results topic has the same.
        private func all(_ requests: Reader, _ results: Reader) throws(KafkaError) -> [Int32] {
            let count = try requests.partitionCount(milliseconds: Self.patience)
            let room = try results.partitionCount(milliseconds: Self.patience)
            guard count <= room else {
                throw KafkaError.missing(
                    "\(subject.resultsTopic) with \(count) partitions, as \(subject.requestsTopic) has: add partitions to it"
                )
            }
            return (0..<Int32(count)).map { $0 }
        }

        func ask() -> Result<[Int32: Takeover], KafkaError> {
            do throws(KafkaError) {
                let requests = try Reader(configuration, topic: subject.requestsTopic, group: subject.group)
                let results = try Reader(configuration, topic: subject.resultsTopic)
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
                    // What was behind an open request may have its result from before the window; so may anything where
                    // the committed offset is not to be believed.
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

    /// The answer, once it is there; once.
    package func take() -> Result<[Int32: Takeover], KafkaError>? {
        var count: UInt64 = 0
        unsafe _ = read(answer.descriptor, &count, MemoryLayout<UInt64>.size)
        return answer.value.withLock { value in
            defer { value = nil }
            return value
        }
    }
}
