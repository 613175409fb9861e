import Testing

@testable import Checking
@testable import Core

@Suite struct ClientAndHSSTests {
    private static let defects: [([String: String], Int, String?)] = [
        (["security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"], 0x0206_00ff, "2.6.1"),
        (["security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512"], 0x0206_01ff, nil),
        (["security.protocol": "SASL_SSL"], 0x0200_02ff, "2.11"),
        (["security.protocol": "SASL_SSL", "sasl.mechanisms": "PLAIN"], 0x0200_02ff, nil),
        (["partition.assignment.strategy": "cooperative-sticky"], 0x0200_02ff, "2.10"),
        (["partition.assignment.strategy": "cooperative-sticky"], 0x020a_00ff, nil),
    ]

    @Test(arguments: defects) func `a defect of the library is named where the settings meet it`(
        _ properties: [String: String], _ version: Int, _ fixed: String?
    ) {
        var deployment = SoundDeployment().deployment
        deployment.properties = properties
        deployment.library = LibraryVersion(number: version, text: "x")
        deployment.quota = nil
        let found = deployment.defects(results: [:])
        #expect(found.map(\.level) == [fixed == nil ? .ok : .warning])
        #expect(found.first?.wanted == (fixed.map { "librdkafka \($0) or newer" } ?? ""))
    }

    @Test func `an unclean election matters before 2.1, and cooperative-sticky not with a quota`() {
        var deployment = SoundDeployment().deployment
        #expect(deployment.defects(results: ["unclean.leader.election.enable": "true"]).first?.level == .warning)
        deployment.properties["partition.assignment.strategy"] = "cooperative-sticky"
        #expect(deployment.defects(results: [:]).first?.level == .ok)
    }

    private static let connections: [([String: String], Int, Finding.Level, String)] = [
        ([:], 0x0200_02ff, .ok, "off"),
        (["security.protocol": "SASL_SSL"], 0x0200_02ff, .ok, "host name are verified"),
        (["security.protocol": "ssl"], 0x0109_02ff, .warning, "host name"),
        (["security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "none"], 0x0200_02ff, .warning, "pose"),
        (
            ["security.protocol": "SSL", "enable.ssl.certificate.verification": "false"], 0x0200_02ff, .warning,
            "any server"
        ),
        (["security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"], 0x0200_02ff, .warning, "unencrypted"),
    ]

    @Test(arguments: connections) func `what the connection does not verify is a warning`(
        _ properties: [String: String], _ version: Int, _ level: Finding.Level, _ found: String
    ) {
        var deployment = SoundDeployment().deployment
        deployment.properties = properties
        deployment.library = LibraryVersion(number: version, text: "x")
        let finding = deployment.encryption()
        #expect(finding.level == level && finding.found.contains(found), "\(finding)")
    }

    private static let failures: [(ConnectionFailure.Cause, Int32, String)] = [
        (.configuration, 64, "property"), (.notPermitted, 77, "sasl.password"),
        (.insecure, 69, "ssl.ca.location"), (.hostName, 69, "ssl.endpoint.identification.algorithm=none"),
        (.unreachable, 69, "--bootstrap-servers; try TLS"),
    ]

    @Test(arguments: failures) func `a failed connection has the exit code of run, and the other subjects still appear`(
        _ cause: ConnectionFailure.Cause, _ code: Int32, _ remedy: String
    ) throws {
        var sound = SoundDeployment()
        sound.facts.cluster = nil
        sound.facts.brokers = .failed(ConnectionFailure(cause, "why", hint: "try TLS"))
        #expect(sound.complaints.map(\.what) == [.brokers, .rights])
        let finding = try #require(sound.complaints.first)
        #expect(finding.exitCode == code && finding.remedy.contains(remedy) && finding.sentence.contains("why"))
        #expect(sound.deployment.findings(sound.facts).contains { $0.what == .credentials && $0.level == .ok })
    }

    private static let quotas: [(RateLimit?, Finding.Level)] = [
        (RateLimit(calls: 5, window: .seconds(60)), .ok),
        (RateLimit(calls: 6, window: .seconds(60)), .warning), (RateLimit(calls: 1, window: .seconds(12)), .ok),
        (RateLimit(calls: 1, window: .seconds(11)), .warning), (RateLimit(calls: 10, window: .seconds(120)), .warning),
        (nil, .warning),
    ]

    @Test(arguments: quotas) func `a quota above the documented one is a warning`(
        _ quota: RateLimit?, _ level: Finding.Level
    ) {
        var deployment = SoundDeployment().deployment
        deployment.quota = quota
        let finding = deployment.quota(limit: nil)
        #expect(finding.level == level, "\(finding)")
        #expect(level == .ok || finding.remedy == "set --quota 5/60s")
    }

    struct Answer: Sendable {
        var status: Int?
        var code: String?
        var transport: Reply.Transport?
        var clock: Duration = .zero
        var what: Finding.What
        var level: Finding.Level
        var remedy: String
    }

    @Test(arguments: [
        Answer(status: 401, code: "APIGW.0301", what: .credentials, level: .error, remedy: "six refusals"),
        Answer(status: 403, code: "APIGW.0302", what: .credentials, level: .error, remedy: "--project-id"),
        Answer(status: 429, code: "APIGW.0308", what: .credentials, level: .warning, remedy: "in a minute"),
        Answer(transport: .notSent("refused"), what: .hss, level: .error, remedy: "--endpoint"),
        Answer(status: 200, clock: .seconds(30), what: .clock, level: .warning, remedy: "NTP"),
        Answer(status: 200, clock: .seconds(-1200), what: .clock, level: .error, remedy: "NTP"),
    ]) func `each answer of HSS gives its finding`(_ answer: Answer) {
        var sound = SoundDeployment()
        sound.facts.hss.reply?.httpStatus = answer.status
        sound.facts.hss.reply?.errorCode = answer.code
        sound.facts.hss.reply?.transport = answer.transport
        sound.facts.hss.localTime = SoundDeployment.now + (.zero - answer.clock)
        let complaints = sound.complaints
        #expect(complaints.map(\.what) == [answer.what] && complaints.map(\.level) == [answer.level], "\(complaints)")
        #expect(complaints.first?.remedy.contains(answer.remedy) ?? false, "\(complaints)")
    }

    @Test func `a refusal with a wrong clock blames the clock`() {
        var sound = SoundDeployment()
        sound.facts.hss.reply?.httpStatus = 401
        sound.facts.hss.localTime = SoundDeployment.now + .seconds(1200)
        #expect(sound.complaints.map(\.what) == [.clock, .credentials])
        #expect(sound.complaints.last?.remedy == "set the clock first")
    }

    @Test(arguments: [("none", 2, Finding.Level.error), ("none", 3, .warning), ("fixed", 2, .error)])
    func `a plugin that the project does not list is named`(_ code: String, _ total: Int, _ level: Finding.Level) {
        var sound = SoundDeployment()
        sound.facts.hss.pluginCodes = [code]
        sound.facts.hss.reply?.totalPlugins = total
        #expect(sound.complaints.map(\.what) == [.plugins] && sound.complaints.map(\.level) == [level])
        #expect(sound.complaints.first?.found.contains(code) ?? false)
    }

    @Test func `what the settings and the environment lack is named`() {
        var sound = SoundDeployment()
        sound.facts.openFiles = (80, 40)
        sound.facts.policy = .broken("f:1:1: wrong")
        sound.facts.hss.project = nil
        #expect(sound.complaints.map(\.what) == [.openFiles, .policy, .credentials])
        #expect(sound.complaints.map(\.level) == [.error, .error, .warning])
        sound.facts.hss.credentialsError = "HUAWEICLOUD_SDK_AK is not set"
        (sound.facts.hss.endpoint, sound.facts.hss.endpointError) = (nil, "region: give --region")
        #expect(sound.complaints.map(\.what) == [.openFiles, .policy, .credentials, .endpoint])
        #expect(sound.complaints.allSatisfy { $0.level == .error })
    }
}
