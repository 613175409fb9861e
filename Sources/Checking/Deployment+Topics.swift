internal import Core

/// Topics: they exist, match, and keep what dedupe needs. `run` applies the first four rules itself.
extension Deployment {
    private var ofRequests: (what: Finding.What, setting: String, topic: String) {
        (.requestsTopic, "--requests-topic", requestsTopic)
    }
    private var ofResults: (what: Finding.What, setting: String, topic: String) {
        (.resultsTopic, "--results-topic", resultsTopic)
    }

    /// Whether the topics exist. Requests first.
    package func existence(requests: TopicFacts.State, results: TopicFacts.State) -> [Finding] {
        [(ofRequests, requests), (ofResults, results)].map { about, state in
            switch state {
            case .there(let layout):
                guard layout.leaderless == 0 else {
                    return .error(
                        about.what,
                        "\(layout.leaderless) of \(layout.partitions) partitions of \(about.topic) have no leader",
                        wanted: "a leader for each partition", remedy: "start the brokers that hold its replicas")
                }
                return .ok(about.what, "\(about.topic) has \(layout.partitions) partitions")
            case .missing:
                return .error(
                    about.what, "there is no topic \(about.topic) at \(bootstrapServers)", wanted: "the topic",
                    remedy: "create it: kafka-topics.sh --bootstrap-server \(bootstrapServers) --create "
                        + "--topic \(about.topic) --partitions 12", setting: about.setting)
            case .hidden: return right(.read, .topic(about.topic)).finding
            case .unknown(let reason):
                return .error(
                    about.what, "\(about.topic): \(reason)", wanted: "an answer", remedy: "check the brokers' log")
            }
        }
    }

    /// The contract's rule that a result has the same partition number as its request.
    package func agreement(requests: Int, results: Int) -> Finding {
        guard results < requests else {
            return .ok(.partitions, "\(resultsTopic) has \(results) partitions, \(requestsTopic) has \(requests)")
        }
        return .error(
            .partitions, "\(resultsTopic) has \(results) partitions and \(requestsTopic) has \(requests)",
            wanted: "at least \(requests) partitions in \(resultsTopic)",
            remedy: "add partitions to \(resultsTopic), because a result goes to its request's partition number "
                + "(kafka-topics.sh --bootstrap-server \(bootstrapServers) --alter --topic \(resultsTopic) "
                + "--partitions \(requests))", setting: "--results-topic")
    }

    /// The results topic must not be compacted, because it is the ledger.
    package func cleanup(results: [String: String]) -> Finding {
        let policy = results["cleanup.policy"] ?? ""
        guard Self.isCompacted(results) else { return .ok(.cleanupPolicy, "\(resultsTopic): \(policy)") }
        return .error(
            .cleanupPolicy,
            "\(resultsTopic) is compacted (cleanup.policy=\(policy)), so a later result would replace the first one, "
                + "which repeats are compared with",
            wanted: "cleanup.policy=delete", remedy: alter(resultsTopic, "cleanup.policy=delete"),
            setting: "--results-topic")
    }

    /// The results topic must keep results for the dedupe window. Requests whose results it has lost are called again.
    package func retention(results: [String: String]) -> Finding {
        let wanted = "at least \(dedupeWindow.milliseconds) ms (--dedupe-window)"
        let kept = results["retention.ms"].flatMap(Int64.init) ?? -1
        if kept >= 0, kept < dedupeWindow.milliseconds {
            return .error(
                .retention,
                "\(resultsTopic) keeps results for \(kept) ms (retention.ms), less than --dedupe-window, so repeats "
                    + "would be called again",
                wanted: wanted, remedy: alter(resultsTopic, "retention.ms=\(dedupeWindow.milliseconds)"),
                setting: "--results-topic")
        }
        if let bytes = results["retention.bytes"].flatMap(Int64.init), bytes >= 0 {
            return .warning(
                .retention,
                "topic \(resultsTopic) has retention.bytes=\(bytes), which may delete results within --dedupe-window; "
                    + "repeats of those requests would be called again",
                wanted: "retention.bytes=-1", remedy: alter(resultsTopic, "retention.bytes=-1"))
        }
        return .ok(.retention, "\(resultsTopic) keeps results \(kept < 0 ? "for ever" : "for \(kept) ms")")
    }

    /// Whether requests can be deleted before they have a result.
    func cleanup(requests: [String: String]) -> Finding {
        guard Self.isCompacted(requests) else {
            return .ok(.cleanupPolicy, "\(requestsTopic): \(requests["cleanup.policy"] ?? "")")
        }
        return .warning(
            .cleanupPolicy,
            "\(requestsTopic) is compacted, so a request can vanish unanswered when its key is used again",
            wanted: "cleanup.policy=delete", remedy: alter(requestsTopic, "cleanup.policy=delete"))
    }

    func retention(requests: [String: String]) -> Finding {
        guard let kept = requests["retention.ms"].flatMap(Int64.init), kept >= 0 else {
            return .ok(.retention, "\(requestsTopic) keeps requests for ever")
        }
        guard kept < retryFor.milliseconds else {
            return .ok(.retention, "\(requestsTopic) keeps requests for \(kept) ms")
        }
        return .warning(
            .retention,
            "\(requestsTopic) keeps requests for \(kept) ms, so a request that is still retried can be deleted, and is "
                + "lost if the worker restarts",
            wanted: "at least \(retryFor.milliseconds) ms (--retry-for), and as long as the workers may be down",
            remedy: alter(requestsTopic, "retention.ms=604800000"))
    }

    private static func isCompacted(_ settings: [String: String]) -> Bool {
        (settings["cleanup.policy"] ?? "").split(separator: ",").contains { $0.utf8.elementsEqual("compact".utf8) }
    }
}
