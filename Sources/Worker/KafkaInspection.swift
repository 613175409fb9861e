package import Checking
internal import Core
internal import Glibc
package import Kafka

extension Answer {
    init(_ error: KafkaError) {
        self = error.right == nil ? .unknown(error.description) : .denied
    }

    init(_ question: () throws(KafkaError) -> Value) {
        do throws(KafkaError) { self = .known(try question()) } catch { self = Answer(error) }
    }
}

/// Asks the cluster everything that a check judges. Changes nothing there. Every question is bounded in time, and one
/// that fails leaves the others.
package struct KafkaInspection {
    let kafka: ClientConfiguration
    let deployment: Deployment
    /// How long to wait for a first broker, and for the answer to each later question.
    private static let patience: Duration = .seconds(10)
    private static let followUp: Int32 = 5000

    package init(_ kafka: ClientConfiguration, _ deployment: Deployment) {
        self.kafka = kafka
        self.deployment = deployment
    }

    /// The cluster's answers are nil if no broker can be used.
    package func run() -> (brokers: Facts.Brokers, cluster: ClusterFacts?) {
        do throws(KafkaError) {
            return try use(TopicMetadata(kafka)) { cluster throws(KafkaError) in
                let names = try connect(cluster)
                return (.answered(names), facts(cluster))
            }
        } catch {
            return (.failed(diagnose(error)), nil)
        }
    }

    /// Uses a client without waiting for its end, which librdkafka can delay for as long as a question is open.
    private func use<Client: AnyObject, Result>(
        _ make: @autoclosure () throws(KafkaError) -> Client, _ body: (Client) throws(KafkaError) -> Result
    ) throws(KafkaError) -> Result {
        var slot: Client? = try make()
        defer { Disposal.dispose(of: &slot) }
        return try apply(slot, body)
    }

    /// A separate function, so that no other reference to the client outlives it.
    private func apply<Client: AnyObject, Result>(
        _ client: Client?, _ body: (Client) throws(KafkaError) -> Result
    ) throws(KafkaError) -> Result {
        guard let client else { throw KafkaError.timedOut }
        return try body(client)
    }

    private func connect(_ cluster: TopicMetadata) throws(KafkaError) -> [String] {
        let deadline = Clock.uptime + Self.patience
        while true {
            do throws(KafkaError) { return try cluster.brokerNames(milliseconds: 2000) } catch {
                let isFinal = [.configuration, .notPermitted, .insecure].contains(error.kind)
                if isFinal || Clock.uptime >= deadline { throw error }
                usleep(50_000)
            }
        }
    }

    /// librdkafka reports a wrong host name like a wrong CA. A second attempt, without the user's password, tells the
    /// two apart.
    private func diagnose(_ error: KafkaError) -> ConnectionFailure {
        var failure = ConnectionFailure(error, hint: kafka.connectionHint)
        guard failure.cause == .insecure else { return failure }
        do throws(KafkaError) {
            try use(TopicMetadata(kafka.ignoringHostName)) { cluster throws(KafkaError) in
                _ = try cluster.brokerNames(milliseconds: 3000)
            }
        } catch {
            if error.kind == .insecure { return failure }
        }
        failure.cause = .hostName
        return failure
    }

    private func facts(_ cluster: TopicMetadata) -> ClusterFacts {
        var facts = ClusterFacts(
            requests: topic(deployment.requestsTopic, cluster), results: topic(deployment.resultsTopic, cluster))
        askRights(cluster, &facts)
        askGroup(&facts)
        facts.hasFutureRecords = hasFutureRecords(facts)
        return facts
    }

    private func topic(_ name: String, _ cluster: TopicMetadata) -> TopicFacts {
        var facts = TopicFacts(state(of: name, cluster))
        guard facts.state.layout != nil else { return facts }
        switch Preflight.settings(of: name, cluster, isStopped: { false }) {
        case .success(let settings): facts.settings = .known(settings)
        case .failure(let error): facts.settings = Answer(error)
        }
        return facts
    }

    private func state(of topic: String, _ cluster: TopicMetadata) -> TopicFacts.State {
        let deadline = Clock.uptime + .milliseconds(Int(Self.followUp))
        while true {
            do throws(KafkaError) {
                let state = try cluster.state(of: topic, milliseconds: 2000)
                guard case .there = state, let replicas = try cluster.replicas(of: topic, milliseconds: 2000) else {
                    return state.found
                }
                return .there(
                    TopicLayout(
                        partitions: replicas.partitions, replicas: replicas.replicas, inSync: replicas.inSync,
                        leaderless: replicas.leaderless))
            } catch {
                if Clock.uptime >= deadline { return .unknown(error.description) }
                usleep(100_000)
            }
        }
    }

    private func askRights(_ cluster: TopicMetadata, _ facts: inout ClusterFacts) {
        let there = [(deployment.requestsTopic, facts.requests), (deployment.resultsTopic, facts.results)].compactMap {
            name, topic in topic.state.layout.map { (name, $0.partitions) }
        }
        let unreadable = Answer { () throws(KafkaError) in
            try cluster.unreadable(there, milliseconds: Self.followUp, isStopped: { false })
        }
        func mayRead(_ topic: String) -> Answer<Bool> {
            switch unreadable {
            case .known(let topics): .known(!topics.contains(topic))
            case .denied: .denied
            case .unknown(let reason): .unknown(reason)
            }
        }
        facts.requests.mayRead = mayRead(deployment.requestsTopic)
        facts.results.mayRead = mayRead(deployment.resultsTopic)
        guard facts.results.state.layout != nil else { return }
        do throws(KafkaError) {
            let mayWrite = try cluster.mayWrite(
                deployment.resultsTopic, milliseconds: Self.followUp, isStopped: { false })
            facts.results.mayWrite = mayWrite.map { .known($0) } ?? .unknown("the broker does not tell")
        } catch {
            facts.results.mayWrite = Answer(error)
        }
    }

    private func askGroup(_ facts: inout ClusterFacts) {
        do throws(KafkaError) {
            let group = try GroupInspection(kafka, group: deployment.group, topic: deployment.requestsTopic)
            // Never destroyed. If a question about the group is still open, librdkafka 2.0.2 can abort the process when
            // its client is destroyed (observed). The command exits without destroying it.
            unsafe _ = Unmanaged.passRetained(group)
            askGroup(group, &facts)
        } catch {
            (facts.mayReadGroup, facts.group) = (Answer(error), Answer(error))
        }
    }

    private func askGroup(_ group: GroupInspection, _ facts: inout ClusterFacts) {
        facts.mayReadGroup = Answer { () throws(KafkaError) in
            try group.mayRead(milliseconds: Self.followUp)
        }
        if facts.mayReadGroup.value == false {
            facts.group = .denied
            return
        }
        facts.group = Answer { () throws(KafkaError) in
            let found = try group.describe(milliseconds: Self.followUp)
            return GroupFacts(strategy: found.strategy, members: found.members, metadata: metadata())
        }
    }

    /// The metadata of the group's committed offset for partition 0.
    private func metadata() -> String? {
        try? use(PartitionReader(kafka, topic: deployment.requestsTopic, group: deployment.group)) {
            reader throws(KafkaError) in try reader.committed([0], milliseconds: Self.followUp)[0]?.metadata
        }
    }

    private func hasFutureRecords(_ facts: ClusterFacts) -> Answer<Bool> {
        let later = Clock.wall + Deployment.futureTolerance
        for (name, topic) in [(deployment.requestsTopic, facts.requests), (deployment.resultsTopic, facts.results)] {
            guard let layout = topic.state.layout else { continue }
            let found = Answer { () throws(KafkaError) in
                try use(PartitionReader(kafka, topic: name)) { reader throws(KafkaError) in
                    try reader.firstOffsets(
                        at: later, Array(0..<Int32(layout.partitions)), milliseconds: Self.followUp)
                }
            }
            switch found {
            case .known(let offsets): if !offsets.isEmpty { return .known(true) }
            case .denied: return .denied
            case .unknown(let reason): return .unknown(reason)
            }
        }
        return .known(false)
    }
}
