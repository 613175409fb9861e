internal import Core

/// Rights and the consumer group.
extension Deployment {
    /// One finding for each right that `run` needs. A missing one is the sentence with which `run` ends.
    func rights(_ cluster: ClusterFacts) -> [Finding] {
        let (requests, results) = (cluster.requests, cluster.results)
        var asked: [(Right, Answer<Bool>)] = []
        if requests.state.layout != nil { asked.append((right(.read, .topic(requestsTopic)), requests.mayRead)) }
        if results.state.layout != nil {
            asked.append((right(.read, .topic(resultsTopic)), results.mayRead))
            asked.append((right(.write, .topic(resultsTopic)), results.mayWrite))
        }
        asked.append((right(.read, .group(group)), cluster.mayReadGroup))
        return asked.map { right, answer in
            switch answer {
            case .known(true): .ok(.rights, "\(right.name) is granted")
            case .known(false), .denied: right.finding
            case .unknown(let reason):
                .warning(
                    .rights, "\(right.name) cannot be checked: \(reason)", wanted: right.name, remedy: right.remedy)
            }
        }
    }

    /// The settings of a topic that could not be read. `run` gives the same warning for the results topic.
    package func unreadable<Value>(_ settings: Answer<Value>, of topic: String) -> Finding? {
        switch settings {
        case .known: return nil
        case .denied:
            let right = right(.describeConfigs, .topic(topic))
            return .warning(
                .rights, "\(right.lack), so its settings cannot be checked", wanted: right.name, remedy: right.remedy)
        case .unknown(let reason):
            return .warning(
                .rights, "cleanup.policy and retention.ms of topic \(topic) cannot be checked: \(reason)",
                wanted: "the topic's settings", remedy: "compare them with docs/contract.md yourself")
        }
    }

    func membership(_ answer: Answer<GroupFacts>) -> [Finding] {
        let found: GroupFacts
        switch answer {
        case .known(let facts): found = facts
        // The right is reported by itself.
        case .denied: return []
        case .unknown(let reason):
            return [
                .warning(
                    .group, "the members of \(group) cannot be seen: \(reason)", wanted: "an answer",
                    remedy: "look at kafka-consumer-groups.sh --describe --group \(group)")
            ]
        }
        var findings: [Finding] = []
        let strangers = found.members.filter { !isOurs($0.client) }
        if let stranger = strangers.first {
            findings.append(
                .error(
                    .group,
                    "\(group) has \(Self.count(strangers.count, "member")) with another client id than the workers, such as "
                        + "\(stranger.client) at \(stranger.host): requests that another program takes get no result",
                    wanted: "workers only",
                    remedy: "stop the other program, or choose another --group; give all workers the same client.id"))
        }
        if let strategy, !found.members.isEmpty, strangers.isEmpty, found.strategy != strategy {
            findings.append(
                .error(
                    .group,
                    "the members of \(group) share partitions by \(found.strategy), and this worker by \(strategy): "
                        + "the coordinator refuses it",
                    wanted: strategy,
                    remedy: "use one kind of --quota for all workers of a group (off, or a limit), or stop the other "
                        + "workers first"))
        }
        if let metadata = found.metadata, !PreviousOwner.canRead(metadata) {
            findings.append(
                .warning(
                    .group, "the offsets of \(group) were committed by another program or a newer version",
                    wanted: "offsets of this version",
                    remedy: "see docs/operations.md, Upgrades, or choose another --group"))
        }
        return findings.isEmpty ? [.ok(.group, "\(group) has \(Self.count(found.members.count, "member"))")] : findings
    }

    /// With a quota a worker's client id is its start time and the id that is configured.
    private func isOurs(_ client: String) -> Bool {
        let id = properties["client.id"] ?? "plugin-starter"
        return client == id || client.hasSuffix("-\(id)")
    }
}
