internal import Core
internal import Glibc
package import Kafka

/// Why a worker did not start, or stopped: a sentence that names what to change, and the exit code.
package struct WorkerFailure: Error {
    package var exitCode: Int32
    package var message: String

    package init(_ error: KafkaError, servers: String) {
        if error.isFatal && error.right == nil {
            self.init(
                69, "the consumer has failed: \(error). Is another worker running with the same group.instance.id?")
            return
        }
        switch error.kind {
        case .configuration: self.init(64, "--kafka-property: \(error.text)")
        case .notPermitted:
            self.init(
                77,
                "authentication or authorization failed at the broker \(servers): \(error). "
                    + "Check sasl.username, sasl.password and ACLs")
        case .insecure:
            self.init(
                69, "TLS with the broker at \(servers) failed: \(error). Check ssl.ca.location and --bootstrap-servers")
        case .missing, .unreachable, .other:
            self.init(69, "the broker at \(servers) cannot be reached: \(error). Check --bootstrap-servers")
        }
    }

    /// Also names what the listener may require, if no broker answered.
    package init(_ error: KafkaError, _ kafka: ClientConfiguration) {
        self.init(error, servers: kafka.bootstrapServers)
        if [.unreachable, .insecure].contains(error.kind) { message += "; \(kafka.connectionHint)" }
    }

    package init(_ exitCode: Int32, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

/// Checks before any work that both topics exist and match, that the results topic keeps results as long as dedupe
/// needs, and that the rights are granted. Waits in slices, so that a signal is noticed.
struct Preflight {
    let kafka: ClientConfiguration
    let requestsTopic: String
    let resultsTopic: String
    var deadLetterTopic: String?
    let dedupeWindow: Duration
    /// How long to wait for a broker that does not answer.
    static let patience: Duration = .seconds(30)
    /// The timeout in milliseconds of each later request, once the broker has answered.
    private static let followUp: Int32 = 5000

    /// Returns the partition count of the requests topic, or nil if it was stopped. `warn` receives what could not be
    /// checked or may cause trouble.
    func check(warn: (String) -> Void, isStopped: () -> Bool) throws(WorkerFailure) -> Int? {
        let cluster = try ask { () throws(KafkaError) in try TopicMetadata(kafka) }
        guard let requests = try state(of: requestsTopic, cluster, isStopped),
            let results = try state(of: resultsTopic, cluster, isStopped)
        else { return nil }
        let counts = try judge(requests: requests, results: results).get()
        switch try settings(cluster, isStopped) {
        case .success(let settings): for note in try judge(settings).get() { warn(note) }
        case .failure(let error):
            warn("cleanup.policy and retention.ms of topic \(resultsTopic) cannot be checked: \(error)")
        }
        let topics = [(requestsTopic, counts.requests), (resultsTopic, counts.results)]
        let unreadable = try ask { () throws(KafkaError) in
            try cluster.unreadable(topics, milliseconds: Self.followUp, isStopped: isStopped)
        }
        for (topic, _) in topics where unreadable.contains(topic) {
            throw Right(.read, .topic(topic), kafka).failure
        }
        if let deadLetterTopic {
            guard let state = try state(of: deadLetterTopic, cluster, isStopped) else { return nil }
            if state == .missing {
                throw WorkerFailure(
                    64, "--dead-letter-topic: \(Self.missing(deadLetterTopic, kafka.bootstrapServers))")
            }
            if state == .hidden { throw Right(.write, .topic(deadLetterTopic), kafka).failure }
        }
        for topic in [resultsTopic, deadLetterTopic].compactMap({ $0 }) {
            let mayWrite = try ask { () throws(KafkaError) in
                try cluster.mayWrite(topic, milliseconds: Self.followUp, isStopped: isStopped)
            }
            if mayWrite == false { throw Right(.write, .topic(topic), kafka).failure }
        }
        return isStopped() ? nil : counts.requests
    }

    private func ask<Answer>(_ question: () throws(KafkaError) -> Answer) throws(WorkerFailure) -> Answer {
        do throws(KafkaError) { return try question() } catch {
            throw WorkerFailure(error, kafka)
        }
    }

    /// Returns nil if it was stopped. Each slice is longer than the one before, because a slow cluster may need the
    /// time.
    private func state(
        of topic: String, _ cluster: TopicMetadata, _ isStopped: () -> Bool
    ) throws(WorkerFailure) -> TopicState? {
        let deadline = Clock.uptime + Self.patience
        var slice: Int32 = 500
        while !isStopped() {
            do throws(KafkaError) { return try cluster.state(of: topic, milliseconds: slice) } catch {
                let isFinal = [.configuration, .notPermitted, .insecure].contains(error.kind)
                // librdkafka guesses this from how the listener closed the connection. A proxy whose broker restarts
                // closes it the same way, so the first 12 s are waited out.
                let isWrongProtocol =
                    error.text.contains("security.protocol")
                    && deadline - Clock.uptime < Self.patience - .seconds(12)
                if isStopped() { return nil }
                if isFinal || isWrongProtocol || Clock.uptime >= deadline { throw WorkerFailure(error, kafka) }
                // The broker answered at once, for example because the topic has no leader yet.
                if error.kind == .other { usleep(100_000) }
                slice = min(slice * 2, 4000)
            }
        }
        return nil
    }

    /// A broker may not yet know a topic that was just created, so this retries.
    private func settings(
        _ cluster: TopicMetadata, _ isStopped: () -> Bool
    ) throws(WorkerFailure) -> Result<[String: String], KafkaError> {
        let deadline = Clock.uptime + .milliseconds(Int(Self.followUp))
        while true {
            do throws(KafkaError) {
                guard let found = try cluster.settings(of: resultsTopic, milliseconds: 2000) else {
                    return .failure(.unsupported("this cluster does not report topic settings"))
                }
                return .success(found)
            } catch {
                if error.kind != .missing || isStopped() || Clock.uptime >= deadline { return .failure(error) }
                usleep(100_000)
            }
        }
    }

    /// Checks the contract's rule that a result has the same partition number as its request.
    func judge(requests: TopicState, results: TopicState) -> Result<(requests: Int, results: Int), WorkerFailure> {
        var counts: [Int] = []
        for (setting, topic, state) in [
            ("--requests-topic", requestsTopic, requests), ("--results-topic", resultsTopic, results),
        ] {
            switch state {
            case .there(let partitions): counts.append(partitions)
            case .missing:
                return .failure(
                    WorkerFailure(64, "\(setting): \(Self.missing(topic, kafka.bootstrapServers))"))
            case .hidden:
                return .failure(Right(.read, .topic(topic), kafka).failure)
            }
        }
        guard counts[1] >= counts[0] else {
            return .failure(
                WorkerFailure(
                    64,
                    "--results-topic: \(resultsTopic) has \(counts[1]) partitions and \(requestsTopic) has \(counts[0]): "
                        + "add partitions to \(resultsTopic), because a result goes to its request's partition number"))
        }
        return .success((counts[0], counts[1]))
    }

    static func missing(_ topic: String, _ servers: String) -> String {
        "there is no topic \(topic) at \(servers); create it: "
            + "kafka-topics.sh --bootstrap-server \(servers) --create --topic \(topic) --partitions 12"
    }

    /// Checks the settings of the results topic. The topic is the ledger, so requests whose results it has lost are
    /// called again. Returns warnings for what is no reason to stop.
    func judge(_ settings: [String: String]) -> Result<[String], WorkerFailure> {
        func fail(_ why: String, _ remedy: String) -> Result<[String], WorkerFailure> {
            .failure(
                WorkerFailure(
                    64,
                    "--results-topic: \(why): run kafka-configs.sh --bootstrap-server \(kafka.bootstrapServers) "
                        + "--alter --entity-type topics --entity-name \(resultsTopic) --add-config \(remedy)"))
        }
        let policy = settings["cleanup.policy"] ?? ""
        if policy.split(separator: ",").contains(where: { $0.utf8.elementsEqual("compact".utf8) }) {
            return fail(
                "\(resultsTopic) is compacted (cleanup.policy=\(policy)), so a later result would replace the "
                    + "first one, which repeats are compared with", "cleanup.policy=delete")
        }
        if let kept = settings["retention.ms"].flatMap(Int64.init), kept >= 0, kept < dedupeWindow.milliseconds {
            return fail(
                "\(resultsTopic) keeps results for \(kept) ms (retention.ms), less than --dedupe-window, so repeats "
                    + "would be called again", "retention.ms=\(dedupeWindow.milliseconds)")
        }
        if let bytes = settings["retention.bytes"].flatMap(Int64.init), bytes >= 0 {
            return .success([
                "topic \(resultsTopic) has retention.bytes=\(bytes), which may delete results within --dedupe-window; "
                    + "repeats of those requests would be called again"
            ])
        }
        return .success([])
    }
}
