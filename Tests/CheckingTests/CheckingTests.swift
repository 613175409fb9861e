import Testing

@testable import Checking
@testable import Core

/// Each case breaks one thing of a sound deployment, and has to give one complaint.
@Suite struct CheckingTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var what: Finding.What
        var level: Finding.Level
        /// A part of the remedy.
        var remedy: String
        var damage: @Sendable (inout SoundDeployment) -> Void
        var testDescription: String { name }

        init(
            _ name: String, _ what: Finding.What, _ level: Finding.Level, _ remedy: String,
            _ damage: @escaping @Sendable (inout SoundDeployment) -> Void
        ) {
            (self.name, self.what, self.level, self.remedy, self.damage) = (name, what, level, remedy, damage)
        }
    }

    private static func check(_ one: Case, _ location: SourceLocation = #_sourceLocation) {
        var sound = SoundDeployment()
        one.damage(&sound)
        let complaints = sound.complaints
        #expect(complaints.map(\.what) == [one.what], "\(complaints)", sourceLocation: location)
        #expect(complaints.map(\.level) == [one.level], "\(complaints)", sourceLocation: location)
        let remedy = complaints.first?.remedy ?? ""
        #expect(remedy.contains(one.remedy), "\(complaints)", sourceLocation: location)
        #expect(complaints.allSatisfy { !$0.wanted.isEmpty && !$0.remedy.isEmpty }, sourceLocation: location)
    }

    @Test func `a sound deployment gives no complaint`() {
        #expect(SoundDeployment().complaints.isEmpty)
        let subjects = Set(SoundDeployment().deployment.findings(SoundDeployment().facts).map(\.what))
        #expect(subjects == Set(Finding.What.allCases).subtracting([.endpoint]))
    }

    private static let topics: [Case] = [
        Case("no requests topic", .requestsTopic, .error, "--create --topic q") {
            $0.facts.cluster?.requests = TopicFacts(.missing)
        },
        Case("results topic hidden", .rights, .error, "--operation READ --topic r") {
            $0.facts.cluster?.results = TopicFacts(.hidden)
        },
        Case("no leader", .resultsTopic, .error, "start the brokers") {
            $0.facts.cluster?.results.state = .there(
                TopicLayout(partitions: 12, replicas: 3, inSync: 3, leaderless: 1))
        },
        Case("too few partitions", .partitions, .error, "--alter --topic r --partitions 12") {
            $0.facts.cluster?.results.state = .there(TopicLayout(partitions: 11, replicas: 3, inSync: 3))
        },
        Case("compacted results", .cleanupPolicy, .error, "--entity-name r --add-config cleanup.policy=delete") {
            $0.set(\.results, "cleanup.policy", "delete,compact")
        },
        Case("compacted requests", .cleanupPolicy, .warning, "--entity-name q --add-config cleanup.policy=delete") {
            $0.set(\.requests, "cleanup.policy", "compact")
        },
        Case("short retention", .retention, .error, "retention.ms=86400000") {
            $0.set(\.results, "retention.ms", "86399999")
        },
        Case("retention by size", .retention, .warning, "retention.bytes=-1") {
            $0.set(\.results, "retention.bytes", "1000")
        },
        Case("short retention of requests", .retention, .warning, "--entity-name q") {
            $0.set(\.requests, "retention.ms", "60000")
        },
        Case("min.insync.replicas above the replicas", .replication, .error, "min.insync.replicas=2") {
            $0.set(\.results, "min.insync.replicas", "4")
        },
        Case("min.insync.replicas equal to the replicas", .replication, .warning, "min.insync.replicas=2") {
            $0.set(\.results, "min.insync.replicas", "3")
        },
        Case("min.insync.replicas of one", .replication, .warning, "min.insync.replicas=2") {
            $0.set(\.results, "min.insync.replicas", "1")
        },
        Case("too few replicas in sync", .replication, .error, "start the brokers") {
            $0.facts.cluster?.results.state = .there(TopicLayout(partitions: 12, replicas: 3, inSync: 1))
        },
        Case("one replica", .replication, .warning, "kafka-reassign-partitions.sh") {
            $0.set(\.results, "min.insync.replicas", "1")
            $0.facts.cluster?.results.state = .there(TopicLayout(partitions: 12))
        },
        Case("results that do not fit", .messageSize, .error, "--entity-name r") {
            $0.set(\.results, "max.message.bytes", "2000")
        },
        Case("long results that do not fit", .messageSize, .warning, "--entity-name r") {
            $0.set(\.results, "max.message.bytes", "100000")
        },
        Case("a short message.max.bytes", .messageSize, .warning, "message.max.bytes") {
            $0.deployment.properties["message.max.bytes"] = "100000"
        },
        Case("requests longer than the client receives", .messageSize, .error, "--entity-name q") {
            $0.set(\.requests, "max.message.bytes", "200000000")
        },
        Case("requests shorter than allowed", .messageSize, .warning, "--entity-name q") {
            $0.set(\.requests, "max.message.bytes", "10000")
        },
        Case("records of the future", .recordTimes, .warning, "NTP") {
            $0.facts.cluster?.hasFutureRecords = .known(true)
        },
    ]

    @Test(arguments: topics) func `each fault of a topic is named with its remedy`(_ one: Case) { Self.check(one) }

    private static let rights: [Case] = [
        Case("no READ on requests", .rights, .error, "--operation READ --topic q") {
            $0.facts.cluster?.requests.mayRead = .known(false)
        },
        Case("no READ on results", .rights, .error, "--allow-principal User:ann --operation READ --topic r") {
            $0.facts.cluster?.results.mayRead = .known(false)
        },
        Case("no WRITE on results", .rights, .error, "--operation WRITE --topic r") {
            $0.facts.cluster?.results.mayWrite = .known(false)
        },
        Case("no READ on the group", .rights, .error, "--operation READ --group plugin-starter") {
            $0.facts.cluster?.mayReadGroup = .known(false)
            $0.facts.cluster?.group = .denied
        },
        Case("no DESCRIBE_CONFIGS", .rights, .warning, "--operation DESCRIBE_CONFIGS --topic r") {
            $0.facts.cluster?.results.settings = .denied
        },
        Case("a stranger in the group", .group, .error, "choose another --group") {
            $0.facts.cluster?.group = .known(GroupFacts(strategy: "roundrobin", members: [("kcat", "/h")]))
        },
        Case("workers of the other kind", .group, .error, "one kind of --quota") {
            $0.facts.cluster?.group = .known(GroupFacts(strategy: "range", members: [("plugin-starter", "/h")]))
        },
        Case("offsets of another version", .group, .warning, "Upgrades") {
            $0.facts.cluster?.group = .known(GroupFacts(strategy: "", members: [], metadata: "9;new"))
        },
    ]

    @Test(arguments: rights) func `each missing right and each fault of the group is named`(_ one: Case) {
        Self.check(one)
    }

    @Test func `workers of the same kind are welcome`() {
        var sound = SoundDeployment()
        sound.facts.cluster?.group = .known(
            GroupFacts(
                strategy: "roundrobin", members: [("01700000000000-plugin-starter", "/h")], metadata: "3;1700000000000")
        )
        #expect(sound.complaints.isEmpty)
    }
}
