import Testing

@testable import Core
@testable import Settings

@Suite struct SettingsTests {
    static func resolve(
        _ arguments: [String], environment: [String: String] = [:], file: String? = nil
    ) throws -> Settings {
        let outcome = try Settings.resolve(arguments, environment: environment) { _ in file.map { Array($0.utf8) } }
        guard case .settings(let settings) = outcome else { throw CancellationError() }
        return settings
    }

    static func fails(
        _ arguments: [String], environment: [String: String] = [:], file: String? = nil, _ says: String,
        _ location: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: SettingsError.self, sourceLocation: location) {
            try resolve(arguments, environment: environment, file: file)
        }
        #expect(error?.description.contains(says) ?? false, "\(error.debugDescription)", sourceLocation: location)
    }

    @Test func `flag overrides environment, environment overrides file, file overrides default`() throws {
        let file = "concurrency: 3\nretry-for: 1m\ngroup: from-file\n"
        let settings = try Self.resolve(
            ["run", "--config", "f", "--concurrency", "5"],
            environment: ["PLUGIN_STARTER_CONCURRENCY": "4", "PLUGIN_STARTER_RETRY_FOR": "2m"], file: file)
        #expect(settings.value(SettingTable.concurrency) == 5)
        #expect(settings.value(SettingTable.retryFor) == .seconds(120))
        #expect(settings.value(SettingTable.group) == "from-file")
        #expect(settings.value(SettingTable.hostsPerCall) == 100)
        #expect(settings.value(SettingTable.quota).limit == RateLimit(calls: 5, window: .seconds(60)))
    }

    @Test func `the broker's address has a second name in the environment`() throws {
        let both = ["KAFKA_BOOTSTRAP_SERVERS": "b:1", "PLUGIN_STARTER_BOOTSTRAP_SERVERS": "a:1"]
        #expect(try Self.resolve(["run"], environment: both).value(SettingTable.bootstrapServers) == "a:1")
        let one = ["KAFKA_BOOTSTRAP_SERVERS": "b:1"]
        #expect(try Self.resolve(["run"], environment: one).value(SettingTable.bootstrapServers) == "b:1")
    }

    @Test func `repeatable settings are lists, and properties a mapping too`() throws {
        let line = try Self.resolve(["request", "--host", "a", "--host=b"])
        #expect(line.all(SettingTable.host) == ["a", "b"])
        let file = try Self.resolve(
            ["run", "--config", "f"], file: "kafka-property:\n  security.protocol: SSL\n  ssl.ca.location: /ca\n")
        #expect(file.all(SettingTable.kafkaProperty).map(\.name) == ["security.protocol", "ssl.ca.location"])
    }

    @Test func `wait takes a value or none`() throws {
        #expect(try Self.resolve(["request", "--wait"])[SettingTable.wait] == .seconds(60))
        #expect(try Self.resolve(["request", "--wait", "5s"])[SettingTable.wait] == .seconds(5))
        let file = try Self.resolve(["request", "--wait", "request.json"])
        #expect(file[SettingTable.wait] == .seconds(60))
        #expect(file.operands == ["request.json"])
    }

    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1", true), ("localhost:8080", "127.0.0.1", true), ("[::1]:8080", "::1", true),
        ("0.0.0.0:8080", "0.0.0.0", false), ("[::]:8080", "::", false), ("[2001:db8::1]:8080", "2001:db8::1", false),
    ]) func `an address to listen at is IPv4, or IPv6 in brackets`(_ text: String, _ address: String, _ isLocal: Bool)
        throws
    {
        let listen = try Self.resolve(["run", "--admin-listen", text]).value(SettingTable.adminListen).listen
        #expect(listen == ListenSetting(address: address, port: 8080))
        #expect(listen?.isLoopback == isLocal)
    }

    @Test func `off is a value`() throws {
        let settings = try Self.resolve(["run", "--quota", "off", "--admin-listen", "off"])
        #expect(settings.value(SettingTable.quota).limit == nil)
        #expect(settings.value(SettingTable.adminListen).listen == nil)
    }

    @Test(arguments: [
        (["rum"], "did you mean run"), (["run", "--concurency", "1"], "did you mean --concurrency"),
        (["run", "--concurrency"], "needs a value"), (["run", "--concurrency", "x"], "must be a whole number"),
        (["run", "--quota", "5"], "must be CALLS/DURATION"), (["run", "--retry-for", "5"], "must be a duration"),
        (["run", "--call-timeout", "0s"], "must be from 10ms"), (["run", "--endpoint", "ftp://x"], "must be http://"),
        (["run", "--endpoint", "http://x/y"], "no path"),
        (["run", "--admin-listen", "8080"], "must be an IPv4 address"),
        (["run", "--admin-listen", "::1:8080"], "must be an IPv4 address"),
        (["run", "--admin-listen", "[127.0.0.1]:8080"], "must be an IPv4 address"),
        (["run", "--max-open-bytes", "64MB"], "must be a size"), (["run", "extra"], "is not expected"),
        (["run", "--kafka-property", "x"], "must be NAME=VALUE"), (["broker", "--topic", "x"], "partitions"),
        (["results", "--status", "done"], "must be one of: succeeded"), (["request", "a", "b"], "is not expected"),
        (["results", "--category", "hosts"], "must be one of: invalid"),
        (["results", "--format", "xml"], "must be one of: table, json, ocsf"),
        (["results", "--until", "1"], "must be a duration"), (["man", "page"], "is not expected"),
    ]) func `an error is named with its rule`(_ arguments: [String], _ says: String) { Self.fails(arguments, says) }

    @Test(arguments: [
        ("concurrency: many\n", "f:1:14"), ("\nconcurency: 3\n", "f:2:1"), ("a: [\n", "f:"),
        ("group: [a]\n", "not a list"),
        ("group: a\ngroup: b\n", "twice"), ("- a\n", "must be a mapping"), ("group: &x a\n", "anchors"),
        ("group: *x\n", "aliases"), ("concurency: 3\n", "did you mean concurrency"),
        ("a: {b: {c: 1}}\n", "is not a setting"),
        ("group:\n\t- x\n", "is not YAML"),
    ]) func `an error in the file is reported with line and column`(_ text: String, _ says: String) {
        Self.fails(["run", "--config", "f"], file: text, says)
    }

    @Test(arguments: [
        ["run", "--kafka-property", "sasl.password:Tr0ub4dor"], ["run", "--kafka-property=Tr0ub4dor"],
        ["run", "--kafka-property", "sasl.password:Tr0ub4dor=x"], ["run", "--kafka-propety=sasl.password=Tr0ub4dor"],
        ["run", "--sasl.password=Tr0ub4dor"], ["run", "--sasl.password:Tr0ub4dor"], ["run", "sasl.password=Tr0ub4dor"],
        ["run", "-X", "sasl.password=Tr0ub4dor"], ["sasl.password=Tr0ub4dor"],
        ["run", "--endpoint", "http://user:Tr0ub4dor@host"],
    ]) func `no message repeats what may be a secret`(_ arguments: [String]) {
        let error = #expect(throws: SettingsError.self) { try Self.resolve(arguments) }
        #expect(!(error?.description.contains("Tr0ub4dor") ?? true), "\(error.debugDescription)")
    }

    @Test func `no message about the file or the environment repeats what may be a secret`() {
        for file in ["kafka-property: Tr0ub4dor\n", "kafka-property: [[Tr0ub4dor]]\n", "kafka-property: [Tr0ub4dor]\n"]
        {
            let error = #expect(throws: SettingsError.self) { try Self.resolve(["run", "--config", "f"], file: file) }
            #expect(!(error?.description.contains("Tr0ub4dor") ?? true), "\(error.debugDescription)")
        }
        let error = #expect(throws: SettingsError.self) {
            try Self.resolve(["run"], environment: ["PLUGIN_STARTER_KAFKA_PROPERTY": "Tr0ub4dor"])
        }
        #expect(!(error?.description.contains("Tr0ub4dor") ?? true))
    }

    @Test(arguments: [
        ("a.b=1,c.d=2", ["a.b=1", "c.d=2"]),
        ("sasl.password=Tr0ub4dor,s3cret-tail", ["sasl.password=Tr0ub4dor,s3cret-tail"]),
        ("debug=cgrp,topic,acks.x=1", ["debug=cgrp,topic", "acks.x=1"]),
        ("sasl.password=a,x=b\na.b=1\n", ["sasl.password=a,x=b", "a.b=1"]), ("a.b=1,C=2", ["a.b=1,C=2"]),
    ]) func `properties in the environment can have commas in their values`(_ text: String, _ found: [String]) throws {
        let settings = try Self.resolve(["run"], environment: ["PLUGIN_STARTER_KAFKA_PROPERTY": text])
        #expect(settings.all(SettingTable.kafkaProperty).map { "\($0.name)=\($0.value)" } == found)
    }

    @Test func `an unknown name in the environment gives a warning with the nearest setting, without its value`()
        throws
    {
        let environment = [
            "PLUGIN_STARTER_QOUTA": "5/60s", "PLUGIN_STARTER_SERVICE_HOST": "10.0.0.1",
            "PLUGIN_STARTER_PORT_80_TCP": "x",
            "PLUGIN_STARTER_HOST": "h",
        ]
        let settings = try Self.resolve(["run"], environment: environment)
        #expect(
            settings.warnings == [
                "PLUGIN_STARTER_QOUTA (environment): is not a setting; did you mean PLUGIN_STARTER_QUOTA?"
            ])
    }

    @Test func `secrets are not in messages`() {
        let error = #expect(throws: SettingsError.self) { try Self.resolve(["sandbox", "--secret-key", ""]) }
        #expect(error?.value == "***")
    }

    @Test func `help and the table list every setting`() throws {
        for row in SettingTable.rows {
            for command in row.commands {
                guard
                    case .help(let text) = try Settings.resolve(
                        [command.rawValue, "--help"], environment: [:], readFile: { _ in nil })
                else {
                    Issue.record("no help for \(command)")
                    continue
                }
                #expect(text.contains("--\(row.name)"))
            }
            #expect(Help.markdownTable.contains("`--\(row.name)"))
        }
        #expect(Set(SettingTable.rows.map(\.name)).count == SettingTable.rows.count)
    }

    @Test func `every default is a valid value of its setting`() throws {
        for command in Command.allCases { _ = try Self.resolve([command.rawValue]) }
    }

    @Test func `mutated files never trap`() {
        var generator = SplitMix64(seed: 11)
        let good = Array("concurrency: 3\nkafka-property:\n  a: b\nprojects: [x, 'y']\n".utf8)
        var refused = 0
        for _ in 0..<5_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                if Bool.random(using: &generator) {
                    bytes[place] = .random(in: 0...255, using: &generator)
                } else {
                    bytes.insert(.random(in: 0...255, using: &generator), at: place)
                }
            }
            do { _ = try YAMLSettings.read(bytes, file: "f", rows: SettingTable.rows) } catch { refused += 1 }
        }
        #expect(refused > 1_000)
    }
}
