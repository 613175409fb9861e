internal import CLinux
internal import CRdkafka
package import Core
internal import Glibc
internal import Synchronization

/// Asks for offsets by time, which librdkafka can only do by waiting, on a thread of its own: the loop reads the answer when
/// the descriptor says that it is there.
package final class OffsetLookup {
    private let answer = Answer()
    package var descriptor: Int32 { answer.descriptor }

    /// What the two threads share.
    private final class Answer: Sendable {
        let value = Mutex<Result<[Int32: Int64], KafkaError>?>(nil)
        let descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
        deinit { close(descriptor) }
    }

    /// What the thread needs, given over to it.
    private final class Question {
        let configuration: ClientConfiguration
        let topic: String
        let partitions: [Int32]
        let time: Timestamp
        let answer: Answer

        init(
            _ configuration: ClientConfiguration, _ topic: String, _ partitions: [Int32], _ time: Timestamp,
            _ answer: Answer
        ) {
            self.configuration = configuration
            self.topic = topic
            self.partitions = partitions
            self.time = time
            self.answer = answer
        }

        func ask() -> Result<[Int32: Int64], KafkaError> {
            do throws(KafkaError) {
                let reader = try Reader(configuration, topic: topic)
                var found: [Int32: Int64] = [:]
                for (partition, start) in try reader.offsets(at: time, partitions, milliseconds: 5000) {
                    if case .offset(let offset) = start { found[partition] = offset }
                }
                return .success(found)
            } catch {
                return .failure(error)
            }
        }
    }

    /// For each partition the first offset at or after the time; none where nothing is that young.
    package init(_ configuration: ClientConfiguration, topic: String, _ partitions: [Int32], at time: Timestamp) {
        let question = Question(configuration, topic, partitions, time, answer)
        let context = unsafe Unmanaged.passRetained(question).toOpaque()
        var thread = pthread_t()
        if unsafe pthread_create(&thread, nil, askOnThread, context) == 0 {
            pthread_detach(thread)
        } else {
            unsafe Unmanaged<Question>.fromOpaque(context).release()
            finish(.failure(.timedOut), answer)
        }
    }

    /// The answer, once it is there; once.
    package func take() -> Result<[Int32: Int64], KafkaError>? {
        var count: UInt64 = 0
        unsafe _ = read(answer.descriptor, &count, MemoryLayout<UInt64>.size)
        return answer.value.withLock { value in
            defer { value = nil }
            return value
        }
    }

    fileprivate static func run(_ context: UnsafeMutableRawPointer) {
        let question = unsafe Unmanaged<Question>.fromOpaque(context).takeRetainedValue()
        finish(question.ask(), question.answer)
    }

    private static func finish(_ result: Result<[Int32: Int64], KafkaError>, _ answer: Answer) {
        answer.value.withLock { $0 = result }
        var one: UInt64 = 1
        unsafe _ = write(answer.descriptor, &one, MemoryLayout<UInt64>.size)
    }

    private func finish(_ result: Result<[Int32: Int64], KafkaError>, _ answer: Answer) { Self.finish(result, answer) }
}

private func askOnThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context = unsafe context { unsafe OffsetLookup.run(context) }
    return nil
}
