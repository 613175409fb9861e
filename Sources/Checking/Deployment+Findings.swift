internal import Core

extension Deployment {
    /// Everything that a check reports, in the order of a start: this machine, the brokers, the topics, HSS.
    package func findings(_ facts: Facts) -> [Finding] {
        var findings = [Self.openFiles(facts.openFiles.needed, facts.openFiles.allowed), policy(facts.policy)]
        findings += defects(results: facts.cluster?.results.settings.value ?? [:]) + [encryption()]
        switch facts.brokers {
        case .answered(let brokers):
            findings.append(.ok(.brokers, "\(Self.count(brokers.count, "broker")): \(brokers.joined(separator: ", "))"))
        case .failed(let failure): findings.append(self.failure(failure))
        }
        if let cluster = facts.cluster {
            findings += topics(cluster)
        } else {
            findings.append(
                .warning(
                    .rights, "topics, rights and group are not checked, because no broker answered",
                    wanted: "a broker that answers", remedy: "see brokers"))
        }
        findings.append(quota(limit: facts.hss.reply?.rateLimit))
        return findings + api(facts.hss)
    }

    /// `run` ends with this finding too.
    package static func openFiles(_ needed: Int, _ allowed: Int) -> Finding {
        guard allowed < needed else { return .ok(.openFiles, "\(allowed) open files are allowed") }
        return .error(
            .openFiles, "\(allowed) open files are allowed, and \(needed) are needed",
            wanted: "at least \(needed)", remedy: "raise the limit (ulimit -n, LimitNOFILE=)", setting: "nofile")
    }

    private func policy(_ file: Facts.PolicyFile) -> Finding {
        switch file {
        case .none: return .ok(.policy, "no file: operate_all and all_granted_eps are refused")
        case .loaded(let path): return .ok(.policy, "\(path) is valid")
        case .broken(let reason):
            return .error(
                .policy, reason, wanted: "a valid policy file",
                remedy: "correct it as docs/settings.md describes")
        }
    }

    private func topics(_ cluster: ClusterFacts) -> [Finding] {
        let (requests, results) = (cluster.requests, cluster.results)
        var findings = existence(requests: requests.state, results: results.state)
        if let one = requests.state.layout, let other = results.state.layout {
            findings.append(agreement(requests: one.partitions, results: other.partitions))
        }
        if requests.state.layout != nil {
            if let settings = requests.settings.value {
                findings += [
                    cleanup(requests: settings), retention(requests: settings), messageSize(requests: settings),
                ]
            }
            if let finding = unreadable(requests.settings, of: requestsTopic) { findings.append(finding) }
        }
        if let layout = results.state.layout {
            if let settings = results.settings.value {
                findings += [
                    cleanup(results: settings), retention(results: settings), replication(layout, settings),
                    messageSize(results: settings),
                ]
            }
            if let finding = unreadable(results.settings, of: resultsTopic) { findings.append(finding) }
        }
        findings += rights(cluster) + membership(cluster.group)
        if requests.state.layout != nil, results.state.layout != nil {
            findings.append(recordTimes(cluster.hasFutureRecords))
        }
        return findings
    }
}
