internal import Core

extension ClientConfiguration {
    /// Whether the broker assigns partitions (KIP-848), and with them strategy and session timeout.
    private var isAssignedByBroker: Bool { value("group.protocol")?.lowercased() == "consumer" }

    /// What a member of the group has unless a property says otherwise.
    func groupDefaults(_ membership: Membership, sessionTimeout: Duration) -> [(String, String)] {
        guard !isAssignedByBroker else { return [] }
        let session = sessionTimeout.milliseconds
        return [
            ("session.timeout.ms", "\(session)"),
            // A member learns of a rebalance from the answer to a heartbeat.
            ("heartbeat.interval.ms", "\(max(50, min(500, session / 6)))"),
            // Cooperative assignment has faults in librdkafka before 2.6; range moves partitions in one round.
            ("partition.assignment.strategy", "range"),
        ]
    }

    /// With `exclusive` the order of the members' ids decides which of them is given partition 0, and a member's id begins
    /// with its client's: the time in front makes that the member that has been there longest. So a member that joins does not
    /// take the place of the one that works. A strategy of its own keeps members apart that share partitions: the
    /// coordinator refuses whoever knows no strategy that the others know.
    func groupRequirements(_ membership: Membership) -> [(String, String)] {
        guard case .exclusive(let since) = membership else { return [] }
        let digits = String(since.milliseconds)
        let id = String(repeating: "0", count: max(0, 14 - digits.count)) + digits
        return [("client.id", "\(id)-\(value("client.id") ?? "plugin-starter")")]
            + (isAssignedByBroker ? [] : [("partition.assignment.strategy", "roundrobin")])
    }
}
