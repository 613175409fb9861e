import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// `check` against deployments that are broken in one way each, on a broker with authorization and the sandbox.
    @Suite(.enabled(if: Broker.canBeStarted, "needs a broker of its own: \(Broker.remedy)")) struct Checks {
        struct Line {
            var level: String
            var what: String
            var text: String
        }

        /// Runs `check --json` on the topics of `Rights`, unless a later flag names others.
        static func check(
            _ flags: [String], environment: [String: String] = WorkerHarness.credentials, endpoint: String?
        ) throws -> (code: Int32, lines: [Line]) {
            let (broker, topics) = (try Broker.guarded.get(), try Rights.topics.get())
            let check = try Executable.starter(
                [
                    "check", "--json", "--bootstrap-servers", broker.bootstrap, "--requests-topic", topics.requests,
                    "--results-topic", topics.results, "--group", topics.group, "--project-id", "p",
                ] + (endpoint.map { ["--endpoint", $0] } ?? []) + flags, environment: environment)
            let code = try check.wait(seconds: 90)
            #expect(!check.output.contains("-secret"), "no password is printed")
            let lines = try check.output.split(separator: "\n").map { line in
                let json = try JSON(parsing: Array(line.utf8))
                return Line(
                    level: json["level"]?.string ?? "", what: json["what"]?.string ?? "",
                    text: "\(json["found"]?.string ?? "") REMEDY \(json["remedy"]?.string ?? "")")
            }
            return (code, lines)
        }

        static func sandbox(_ more: [String] = []) throws -> (Executable, String) {
            let sandbox = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0", "--quota", "off"] + more)
            return (sandbox, try sandbox.firstLine())
        }

        /// Runs a check that has to exit 1 with exactly these subjects in error, and the text in one of their remedies.
        static func expect(
            _ subjects: Set<String>, _ remedy: String, _ outcome: (code: Int32, lines: [Line]),
            _ location: SourceLocation = #_sourceLocation
        ) {
            let errors = outcome.lines.filter { $0.level == "error" }
            #expect(outcome.code == 1, "\(outcome.lines)", sourceLocation: location)
            #expect(Set(errors.map(\.what)) == subjects, "\(errors)", sourceLocation: location)
            let isNamed = errors.contains { $0.text.split(separator: " REMEDY ").last?.contains(remedy) ?? false }
            #expect(isNamed, "\(errors)", sourceLocation: location)
        }

        @Test func `a sound deployment exits 0, also with the least rights`() throws {
            let (sandbox, url) = try Self.sandbox()
            let all = try Self.check(["--plugin-code", "ndr"], endpoint: url)
            #expect(all.code == 0 && !all.lines.contains { $0.level == "error" }, "\(all.lines)")
            #expect(all.lines.filter { $0.level == "warning" }.map(\.what) == ["replication"], "\(all.lines)")
            let least = try Self.check(Rights.client("worker"), endpoint: url)
            #expect(least.code == 0 && !least.lines.contains { $0.level == "error" }, "\(least.lines)")
            #expect(least.lines.contains { $0.level == "warning" && $0.text.contains("DESCRIBE_CONFIGS") })
            let summary = try JSON(parsing: Array(run("curl", ["-sf", "\(url)/_sandbox/summary"]).utf8))
            #expect(summary["calls"]?["plugins 200"]?.integer == 2 && summary["start_calls"]?.integer == 0)
            _ = sandbox
        }

        @Test(arguments: [
            (["--kafka-property", "no.such.property=1"], "remove the property"),
            (["--kafka-property", "group.id=g"], "remove the property"),
            (["--bootstrap-servers", "127.0.0.1:1"], "check --bootstrap-servers"),
            (["--kafka-property", "security.protocol=SSL"], "ssl.ca.location"),
        ]) func `a broker that cannot be used is named, and HSS is checked all the same`(
            _ flags: [String], _ remedy: String
        ) throws {
            let (sandbox, url) = try Self.sandbox()
            let outcome = try Self.check(flags, endpoint: url)
            Self.expect(["brokers"], remedy, outcome)
            #expect(outcome.lines.contains { $0.what == "credentials" && $0.level == "ok" })
            _ = sandbox
        }

        @Test func `wrong passwords, CAs and host names are told apart`() throws {
            let (sandbox, url) = try Self.sandbox()
            let broker = try Broker.guarded.get()
            let port = try #require(broker.tlsBootstrap?.split(separator: ":").last)
            let other = try #require(broker.directory).appendingPathComponent("other-ca.pem").path
            let user = try Rights.client("worker")
            for (flags, remedy) in [
                (["--kafka-property", "sasl.password=wrong"], "sasl.password"),
                (["--kafka-property", "ssl.ca.location=\(other)"], "check ssl.ca.location"),
                (["--bootstrap-servers", "localhost:\(port)"], "ssl.endpoint.identification.algorithm=none"),
                (["--kafka-property", "security.protocol=PLAINTEXT"], "set security.protocol=SSL or SASL_SSL"),
            ] {
                Self.expect(["brokers"], remedy, try Self.check(user + flags, endpoint: url))
            }
            let unnamed = try Self.check(
                user + [
                    "--bootstrap-servers", "localhost:\(port)", "--kafka-property",
                    "ssl.endpoint.identification.algorithm=none",
                ], endpoint: url)
            #expect(unnamed.code == 0, "\(unnamed.lines)")
            #expect(unnamed.lines.contains { $0.level == "warning" && $0.what == "tls" })
            _ = sandbox
        }

        private static let resultsTopics: [(String, String, String?, String, String)] = [
            ("check.few", "4", nil, "partitions", "--alter --topic check.few --partitions 12"),
            ("check.compacted", "12", "cleanup.policy=compact", "cleanup-policy", "cleanup.policy=delete"),
            ("check.short", "12", "retention.ms=3600000", "retention", "retention.ms=86400000"),
            ("check.insync", "12", "min.insync.replicas=2", "replication", "min.insync.replicas=1"),
            ("check.small", "12", "max.message.bytes=2000", "message-size", "max.message.bytes"),
        ]

        @Test(arguments: resultsTopics) func `a results topic that cannot serve is named`(
            _ topic: String, _ partitions: String, _ setting: String?, _ what: String, _ remedy: String
        ) throws {
            let (sandbox, url) = try Self.sandbox()
            try Broker.guarded.get().tool(
                "kafka-topics.sh",
                ["--create", "--topic", topic, "--partitions", partitions] + (setting.map { ["--config", $0] } ?? []))
            Self.expect([what], remedy, try Self.check(["--results-topic", topic], endpoint: url))
            _ = sandbox
        }

        @Test func `topics that are not there are named with the command that creates them`() throws {
            let (sandbox, url) = try Self.sandbox()
            let outcome = try Self.check(["--requests-topic", "no-such", "--results-topic", "nor-this"], endpoint: url)
            Self.expect(["requests-topic", "results-topic"], "--create --topic no-such", outcome)
            _ = sandbox
        }

        @Test(arguments: [
            ("norequests", "--operation READ --topic rights.requests"),
            ("noresults", "--operation READ --topic rights.results"),
            ("nowrite", "--operation WRITE --topic rights.results"),
            ("nogroup", "--operation READ --group rights-group"),
        ]) func `each missing right is named with the command that grants it`(_ user: String, _ remedy: String) throws {
            let (sandbox, url) = try Self.sandbox()
            Self.expect(["rights"], remedy, try Self.check(Rights.client(user), endpoint: url))
            _ = sandbox
        }

        @Test func `members that are no workers, or of the other kind, are named`() throws {
            let (sandbox, url) = try Self.sandbox()
            let (broker, topics) = (try Broker.guarded.get(), try Rights.topics.get())
            for (client, remedy) in [("stranger", "choose another --group"), ("plugin-starter", "one kind of --quota")]
            {
                let group = "check-\(client)"
                let member = try Executable(
                    "kcat",
                    [
                        "-C", "-b", broker.bootstrap, "-X", "client.id=\(client)", "-X",
                        "partition.assignment.strategy=range", "-G", group, topics.requests,
                    ])
                try member.says("rebalanced")
                Self.expect(["group"], remedy, try Self.check(["--group", group], endpoint: url))
                member.signal(SIGKILL)
            }
            _ = sandbox
        }

        @Test func `a running worker of the same kind is no fault`() throws {
            let (sandbox, url) = try Self.sandbox()
            let worker = try Rights.worker("worker")
            try worker.says(" ready")
            let outcome = try Self.check([], endpoint: url)
            #expect(outcome.code == 0, "\(outcome.lines)")
            #expect(outcome.lines.contains { $0.what == "group" && $0.text.contains("has 1 member") })
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            _ = sandbox
        }

        @Test func `records from the future give a warning`() throws {
            let (sandbox, url) = try Self.sandbox()
            let broker = try Broker.guarded.get()
            try broker.tool("kafka-topics.sh", ["--create", "--topic", "check.future", "--partitions", "12"])
            let python = try #require(ProcessInfo.processInfo.environment["VENDOR_PYTHON"], "make test sets it")
            let program = """
                import sys, time
                from confluent_kafka import Producer
                producer = Producer({"bootstrap.servers": sys.argv[1]})
                producer.produce("check.future", b"{}", timestamp=int((time.time() + 1800) * 1000))
                sys.exit(producer.flush(20))
                """
            try run(python, ["-c", program, broker.bootstrap])
            let outcome = try Self.check(["--requests-topic", "check.future"], endpoint: url)
            #expect(outcome.code == 0, "\(outcome.lines)")
            #expect(outcome.lines.contains { $0.what == "record-times" && $0.level == "warning" }, "\(outcome.lines)")
            _ = sandbox
        }
    }
}
