internal import Core

extension ClientConfiguration {
    /// Whether the broker assigns partitions (KIP-848). The broker then also sets the strategy and the session timeout.
    private var isAssignedByBroker: Bool { value("group.protocol")?.lowercased() == "consumer" }

    private static let sharingStrategy = "range"
    private static let exclusiveStrategy = "roundrobin"

    /// How a member shares the partitions, as the coordinator names it; nil if the broker assigns them.
    package func strategy(isExclusive: Bool) -> String? {
        if isAssignedByBroker { return nil }
        if isExclusive { return Self.exclusiveStrategy }
        return value("partition.assignment.strategy") ?? Self.sharingStrategy
    }

    /// A group member's settings unless a property overrides them.
    func groupDefaults(_ membership: Membership, sessionTimeout: Duration) -> [(String, String)] {
        guard !isAssignedByBroker else { return [] }
        let session = sessionTimeout.milliseconds
        return [
            ("session.timeout.ms", "\(session)"),
            // A member learns about a rebalance from a heartbeat's response.
            ("heartbeat.interval.ms", "\(max(50, min(500, session / 6)))"),
            // Cooperative assignment has bugs in librdkafka before 2.6. Range moves partitions in one round.
            ("partition.assignment.strategy", Self.sharingStrategy),
        ]
    }

    /// With `exclusive`, the order of the member ids decides which member is assigned partition 0. A member id begins
    /// with the client id, so a start time at its front selects the member that has been there longest. A joining
    /// member therefore does not replace the working one. A separate strategy keeps these members apart from members
    /// that share partitions, because the coordinator refuses a member that supports none of the group's strategies.
    func groupRequirements(_ membership: Membership) -> [(String, String)] {
        guard case .exclusive(let since) = membership else { return [] }
        let digits = String(since.milliseconds)
        let id = String(repeating: "0", count: max(0, 14 - digits.count)) + digits
        return [("client.id", "\(id)-\(value("client.id") ?? "plugin-starter")")]
            + (isAssignedByBroker ? [] : [("partition.assignment.strategy", Self.exclusiveStrategy)])
    }
}
