internal import Checking
internal import Core
internal import HSS
internal import HTTP
internal import Kafka
internal import Reporting
internal import Settings
internal import Worker

/// `check`: gathers facts about the deployment, and prints how they are judged.
nonisolated enum CheckCommand {
    static func run(_ settings: Settings, _ environment: [String: String]) throws(CommandFailure) -> Int32 {
        // It only asks. A signal may end it.
        Signals.unblock()
        var deployment = Deployment(
            ClientConfiguration(bootstrapServers: settings.value(SettingTable.bootstrapServers)),
            requestsTopic: settings.value(SettingTable.requestsTopic),
            resultsTopic: settings.value(SettingTable.resultsTopic),
            dedupeWindow: settings.value(SettingTable.dedupeWindow))
        deployment.group = settings.value(SettingTable.group)
        deployment.retryFor = settings.value(SettingTable.retryFor)
        deployment.maximumRequestBytes = settings.value(SettingTable.maxRequestBytes)
        deployment.quota = settings.value(SettingTable.quota).limit
        let library = ClientConfiguration.libraryVersion
        deployment.library = LibraryVersion(number: library.number, text: library.text)
        var facts = Facts(
            openFiles: RunCommand.descriptors(settings), brokers: .answered([]),
            hss: HSSFacts(localTime: Clock.wall))
        let policy = self.policy(settings, &facts)
        ask(settings, &deployment, &facts)
        try ask(settings, environment, policy, &facts)
        let findings = deployment.findings(facts)
        for finding in findings { print(finding, json: settings.value(SettingTable.json)) }
        // The clients may still be ending.
        ProcessControl.exitAtOnce(exitCode(findings, facts))
    }

    private static func policy(_ settings: Settings, _ facts: inout Facts) -> Policy? {
        guard let path = settings[SettingTable.policy] else { return nil }
        do throws(CommandFailure) {
            let policy = try RunCommand.policy(path)
            facts.policy = .loaded(path)
            return policy
        } catch {
            facts.policy = .broken(error.message)
            return nil
        }
    }

    private static func ask(_ settings: Settings, _ deployment: inout Deployment, _ facts: inout Facts) {
        for property in settings.all(SettingTable.kafkaProperty) {
            deployment.properties[property.name] = property.value
        }
        do throws(CommandFailure) {
            let kafka = try settings.kafka()
            deployment.user = kafka.user
            deployment.strategy = kafka.strategy(isExclusive: deployment.quota != nil)
            (facts.brokers, facts.cluster) = KafkaInspection(kafka, deployment).run()
        } catch {
            facts.brokers = .failed(ConnectionFailure(.configuration, error.message))
        }
    }

    private static func ask(
        _ settings: Settings, _ environment: [String: String], _ policy: Policy?, _ facts: inout Facts
    ) throws(CommandFailure) {
        var credentials: Credentials?
        do throws(CredentialsError) { credentials = try Credentials(environment: environment) } catch {
            facts.hss.credentialsError = error.description
        }
        let target: HSSClient.Target
        do throws(CommandFailure) { target = try RunCommand.target(settings, credentials?.identity) } catch {
            facts.hss.endpointError = error.message
            return
        }
        facts.hss.endpoint = target.hss.url
        facts.hss.pluginCodes =
            (policy?.plugins?.exactNames ?? []) + [settings[SettingTable.pluginCode]].compactMap { $0 }
        let project = settings[SettingTable.projectID] ?? policy?.projects?.exactNames.first
        var http = HTTPClient.Configuration()
        http.connectTimeout = min(.seconds(5), settings.value(SettingTable.connectTimeout))
        http.totalTimeout = .seconds(10)
        http.userAgent = "plugin-starter/check"
        do throws(HTTPError) {
            let (reply, time) = try HSSInspection.read(
                target, credentials, project: project,
                enterpriseProject: settings[SettingTable.enterpriseProjectID], http)
            (facts.hss.reply, facts.hss.localTime) = (reply, time)
            facts.hss.project = credentials == nil ? nil : project
        } catch {
            throw CommandFailure(70, error.description)
        }
    }

    private static func print(_ finding: Finding, json: Bool) {
        if json {
            let members = [
                ("level", finding.level.rawValue), ("what", finding.what.rawValue), ("found", finding.found),
                ("wanted", finding.wanted), ("remedy", finding.remedy),
            ].filter { !$0.1.isEmpty }
            let object = JSON.object(members.map { .init($0.0, .string($0.1)) })
            return Console.print(String(decoding: object.bytes, as: UTF8.self))
        }
        func pad(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        var line = "\(pad(finding.level.rawValue, 7)) \(pad(finding.what.rawValue, 14)) \(finding.found)"
        if !finding.wanted.isEmpty { line += "; wanted: \(finding.wanted)" }
        if !finding.remedy.isEmpty { line += "; remedy: \(finding.remedy)" }
        Console.print(line.printable)
    }

    /// 1 with an error, else 0. If neither a broker nor HSS could be asked, the code of the broker's failure.
    private static func exitCode(_ findings: [Finding], _ facts: Facts) -> Int32 {
        let wasAsked = facts.cluster != nil || facts.hss.reply.map { $0.transport == nil } ?? false
        if !wasAsked, let failure = findings.first(where: { $0.what == .brokers && $0.level == .error }) {
            return failure.exitCode
        }
        return findings.contains { $0.level == .error } ? 1 : 0
    }
}
