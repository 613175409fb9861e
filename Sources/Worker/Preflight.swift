package import Checking
internal import Core
internal import Glibc
package import Kafka

/// Why a worker did not start, or stopped: a sentence that names what to change, and the exit code.
package struct WorkerFailure: Error {
    package var exitCode: Int32
    package var message: String

    package init(_ error: KafkaError, servers: String) {
        self.init(error, ClientConfiguration(bootstrapServers: servers), hint: "")
    }

    /// Also names what the listener may require, if no broker answered.
    package init(_ error: KafkaError, _ kafka: ClientConfiguration) {
        self.init(error, kafka, hint: kafka.connectionHint)
    }

    private init(_ error: KafkaError, _ kafka: ClientConfiguration, hint: String) {
        if error.isFatal && error.right == nil {
            self.init(
                69, "the consumer has failed: \(error). Is another worker running with the same group.instance.id?")
            return
        }
        let deployment = Deployment(kafka, requestsTopic: "", resultsTopic: "", dedupeWindow: .zero)
        self.init(deployment.failure(ConnectionFailure(error, hint: hint)))
    }

    package init(_ finding: Finding) { self.init(finding.exitCode, finding.sentence) }

    package init(_ exitCode: Int32, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

extension ConnectionFailure {
    package init(_ error: KafkaError, hint: String) {
        switch error.kind {
        case .configuration: self.init(.configuration, error.text)
        case .notPermitted: self.init(.notPermitted, error.description)
        case .insecure: self.init(.insecure, error.description, hint: hint)
        case .missing, .other: self.init(.unreachable, error.description)
        case .unreachable: self.init(.unreachable, error.description, hint: hint)
        }
    }
}

extension Deployment {
    package init(_ kafka: ClientConfiguration, requestsTopic: String, resultsTopic: String, dedupeWindow: Duration) {
        self.init(
            bootstrapServers: kafka.bootstrapServers, user: kafka.user, requestsTopic: requestsTopic,
            resultsTopic: resultsTopic, dedupeWindow: dedupeWindow)
    }
}

extension TopicState {
    var found: TopicFacts.State {
        switch self {
        case .there(let partitions): .there(TopicLayout(partitions: partitions))
        case .missing: .missing
        case .hidden: .hidden
        }
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
        switch Self.settings(of: resultsTopic, cluster, isStopped: isStopped) {
        case .success(let settings): for note in try judge(settings).get() { warn(note) }
        case .failure(let error):
            if let finding = deployment.unreadable(Answer<Never>(error), of: resultsTopic) { warn(finding.sentence) }
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
                    64,
                    "--dead-letter-topic: there is no topic \(deadLetterTopic) at \(kafka.bootstrapServers): create it")
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
    static func settings(
        of topic: String, _ cluster: TopicMetadata, isStopped: () -> Bool
    ) -> Result<[String: String], KafkaError> {
        let deadline = Clock.uptime + .milliseconds(Int(followUp))
        while true {
            do throws(KafkaError) {
                guard let found = try cluster.settings(of: topic, milliseconds: 2000) else {
                    return .failure(.unsupported("this cluster does not report topic settings"))
                }
                return .success(found)
            } catch {
                if error.kind != .missing || isStopped() || Clock.uptime >= deadline { return .failure(error) }
                usleep(100_000)
            }
        }
    }

    private var deployment: Deployment {
        Deployment(kafka, requestsTopic: requestsTopic, resultsTopic: resultsTopic, dedupeWindow: dedupeWindow)
    }

    /// Whether both topics exist, with matching partitions.
    func judge(requests: TopicState, results: TopicState) -> Result<(requests: Int, results: Int), WorkerFailure> {
        let existence = deployment.existence(requests: requests.found, results: results.found)
        if let finding = existence.first(where: { $0.level == .error }) { return .failure(WorkerFailure(finding)) }
        let counts = (requests.found.layout?.partitions ?? 0, results.found.layout?.partitions ?? 0)
        let agreement = deployment.agreement(requests: counts.0, results: counts.1)
        return agreement.level == .error ? .failure(WorkerFailure(agreement)) : .success(counts)
    }

    /// Checks the settings of the results topic. Returns warnings for what is no reason to stop.
    func judge(_ settings: [String: String]) -> Result<[String], WorkerFailure> {
        let findings = [deployment.cleanup(results: settings), deployment.retention(results: settings)]
        if let finding = findings.first(where: { $0.level == .error }) { return .failure(WorkerFailure(finding)) }
        return .success(findings.filter { $0.level == .warning }.map(\.sentence))
    }
}
