internal import Checking
internal import Core
internal import Glibc
internal import Kafka
internal import Redriving
internal import Settings
internal import Worker

/// Sends chosen requests at a steady rate. What was sent last is acknowledged before more is sent.
nonisolated final class RedriveSender {
    /// The longest batch, in records.
    private static let longestBatch = 100

    private let publisher: RequestPublisher
    private let kafka: ClientConfiguration
    private let topic: String
    private let rate: Int
    private let report: RedriveReport
    private let stop: StopSignal
    private(set) var sent = 0

    init(_ settings: Settings, _ report: RedriveReport, _ stop: StopSignal) throws(CommandFailure) {
        kafka = try settings.kafka()
        topic = settings.value(SettingTable.requestsTopic)
        rate = settings.value(SettingTable.rate)
        self.report = report
        self.stop = stop
        do throws(KafkaError) { publisher = try RequestPublisher(kafka, topic: topic) } catch {
            throw Topics.failure(error, kafka, topic: topic, .write)
        }
    }

    /// Returns false if a signal came before the end.
    func send(_ records: [RedrivenRecord]) throws(CommandFailure) -> Bool {
        var progress = Progress(total: records.count)
        let began = Clock.uptime
        var rest = records[...]
        while !rest.isEmpty {
            guard try wait(until: began + .nanoseconds(Int64(sent) * 1_000_000_000 / Int64(rate))) else { return false }
            // At a high rate several are due at the same time.
            let due = Int((Clock.uptime - began).seconds * Double(rate)) + 1 - sent
            let batch = Array(rest.prefix(max(1, min(Self.longestBatch, due))))
            let outcome = publisher.publish(batch.map(\.outgoing), isStopped: stop.isRaised)
            progress.clear()
            for case (let record, let position?) in zip(batch, outcome.positions) {
                sent += 1
                report.show(record, sentTo: position)
            }
            if let failure = outcome.failure {
                let reason = Topics.failure(failure.error, kafka, topic: topic, .write)
                throw CommandFailure(
                    reason.exitCode,
                    "\(reason.message); sent \(sent) of \(records.count) requests; the same command goes on")
            }
            progress.show(sent)
            guard outcome.unacknowledged == 0, outcome.positions.allSatisfy({ $0 != nil }) else { return false }
            rest = rest.dropFirst(batch.count)
        }
        progress.clear()
        return true
    }

    private func wait(until time: Uptime) throws(CommandFailure) -> Bool {
        while Clock.uptime < time {
            if stop.isRaised() { return false }
            usleep(10_000)
        }
        return !stop.isRaised()
    }
}

extension RedrivenRecord {
    fileprivate nonisolated var outgoing: OutgoingRecord {
        OutgoingRecord(partition: candidate.request.partition, key: key, value: value, headers: headers)
    }
}
