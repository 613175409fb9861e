internal import Core
package import Kafka

/// Why a worker does not start, or stopped: a sentence that says what to change, and the exit code.
package struct WorkerFailure: Error {
    package var exitCode: Int32
    package var message: String

    package init(_ error: KafkaError, servers: String) {
        if error.isFatal {
            self.init(
                69, "the consumer cannot go on: \(error). Is another worker running with the same group.instance.id?")
            return
        }
        switch error.kind {
        case .configuration: self.init(64, "--kafka-property: \(error.text)")
        case .notPermitted:
            self.init(
                77, "the broker at \(servers) does not let us in: \(error). Check sasl.username, sasl.password and ACLs"
            )
        case .insecure:
            self.init(
                69, "TLS with the broker at \(servers) failed: \(error). Check ssl.ca.location and --bootstrap-servers")
        case .missing, .unreachable, .other:
            self.init(69, "the broker at \(servers) cannot be reached: \(error). Check --bootstrap-servers")
        }
    }

    package init(_ exitCode: Int32, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

/// Checks, before any work, that both topics are there and fit together.
struct Preflight {
    let kafka: ClientConfiguration
    let requestsTopic: String
    let resultsTopic: String
    /// How long a broker that does not answer is waited for.
    static let patience: Duration = .seconds(30)

    /// How many partitions the requests topic has. Asks in short slices, so that a signal is heeded (nil).
    func check(isStopped: () -> Bool) throws(WorkerFailure) -> Int? {
        let cluster: Cluster
        do throws(KafkaError) { cluster = try Cluster(kafka) } catch {
            throw WorkerFailure(error, servers: kafka.bootstrapServers)
        }
        let deadline = Clock.uptime + Self.patience
        while !isStopped() {
            let counts: [String: Int]
            do throws(KafkaError) {
                counts = try cluster.partitionCounts(milliseconds: 500)
            } catch {
                let isFinal = [.configuration, .notPermitted, .insecure].contains(error.kind)
                if isFinal || Clock.uptime >= deadline { throw WorkerFailure(error, servers: kafka.bootstrapServers) }
                continue
            }
            return try judge(counts).get()
        }
        return nil
    }

    /// The rule of the contract: a result goes to its request's partition number.
    func judge(_ counts: [String: Int]) -> Result<Int, WorkerFailure> {
        for (setting, topic) in [("--requests-topic", requestsTopic), ("--results-topic", resultsTopic)]
        where counts[topic] == nil {
            return .failure(
                WorkerFailure(64, "\(setting): there is no topic \(topic) at \(kafka.bootstrapServers): create it"))
        }
        let (requests, results) = (counts[requestsTopic] ?? 0, counts[resultsTopic] ?? 0)
        guard results >= requests else {
            return .failure(
                WorkerFailure(
                    64,
                    "--results-topic: \(resultsTopic) has \(results) partitions and \(requestsTopic) has \(requests): "
                        + "add partitions to \(resultsTopic), because a result goes to its request's partition number"))
        }
        return .success(requests)
    }
}
