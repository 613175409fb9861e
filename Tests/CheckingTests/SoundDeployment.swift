@testable import Checking
@testable import Core

/// A deployment without a fault, for tests that break one thing of it.
struct SoundDeployment {
    var deployment: Deployment
    var facts: Facts
    static let now = Timestamp(milliseconds: 1_800_000_000_000)

    init() {
        deployment = Deployment(
            bootstrapServers: "b:1", user: "ann", requestsTopic: "q", resultsTopic: "r",
            dedupeWindow: .seconds(86_400))
        deployment.library = LibraryVersion(number: 0x0200_02ff, text: "2.0.2")
        facts = Facts(openFiles: (80, 1024), brokers: .answered(["b:1"]), hss: HSSFacts(localTime: Self.now))
        var cluster = ClusterFacts(requests: Self.topic(), results: Self.topic())
        cluster.mayReadGroup = .known(true)
        cluster.group = .known(GroupFacts(strategy: "", members: []))
        cluster.hasFutureRecords = .known(false)
        facts.cluster = cluster
        var reply = Reply()
        (reply.httpStatus, reply.serverDate) = (200, Self.now)
        reply.plugins = [ListedPlugin(code: "ndr"), ListedPlugin(code: "fixed", display: .noOperation)]
        reply.totalPlugins = 2
        facts.hss.endpoint = "https://hss"
        facts.hss.project = "p"
        facts.hss.reply = reply
        facts.hss.pluginCodes = ["ndr"]
    }

    private static func topic() -> TopicFacts {
        var topic = TopicFacts(.there(TopicLayout(partitions: 12, replicas: 3, inSync: 3)))
        topic.settings = .known([
            "cleanup.policy": "delete", "retention.ms": "604800000", "min.insync.replicas": "2",
            "max.message.bytes": "1048588", "retention.bytes": "-1", "unclean.leader.election.enable": "false",
        ])
        (topic.mayRead, topic.mayWrite) = (.known(true), .known(true))
        return topic
    }

    /// Changes one setting of a topic.
    mutating func set(_ topic: WritableKeyPath<ClusterFacts, TopicFacts>, _ name: String, _ value: String) {
        guard var settings = facts.cluster?[keyPath: topic].settings.value else { return }
        settings[name] = value
        facts.cluster?[keyPath: topic].settings = .known(settings)
    }

    /// What is not ok.
    var complaints: [Finding] { deployment.findings(facts).filter { $0.level != .ok } }
}
