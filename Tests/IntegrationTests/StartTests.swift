import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// What keeps `run` from starting. The worker ends with an exit code, and one line that explains what to change.
    @Suite struct Starting {
        static func tls(_ broker: Broker, password: String = "worker-secret", ca: String = "ca.pem") throws -> [String]
        {
            let directory = try #require(broker.directory, "these tests need a broker of their own (KAFKA_HOME)")
            let servers = try #require(broker.tlsBootstrap)
            return [
                "--bootstrap-servers", servers, "--kafka-property", "security.protocol=SASL_SSL", "--kafka-property",
                "sasl.mechanism=PLAIN", "--kafka-property", "sasl.username=worker", "--kafka-property",
                "sasl.password=\(password)", "--kafka-property",
                "ssl.ca.location=\(directory.appendingPathComponent(ca).path)",
            ]
        }

        @Test(.needsKafka) func `a request is answered over TLS with a password`() throws {
            let bench = try WorkerHarness("tls")
            let worker = try bench.worker(try Self.tls(bench.broker))
            let request = try Executable.starter(
                [
                    "request", "--requests-topic", bench.topics.requests, "--results-topic", bench.topics.results,
                    "--project-id", "p", "--plugin-code", "ndr", "--host", "h", "--wait", "20s",
                ] + Self.tls(bench.broker))
            #expect(try request.wait() == 0, "\(request.errors)")
            #expect(request.output.contains("succeeded"))
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            #expect(!worker.errors.contains("worker-secret"))
        }

        @Test(.needsKafka) func `a wrong password exits 77, a wrong CA 69`() throws {
            let bench = try WorkerHarness("refused")
            for (settings, code, says) in [
                (try Self.tls(bench.broker, password: "wrong-password"), 77 as Int32, "sasl.password"),
                (try Self.tls(bench.broker, ca: "other-ca.pem"), 69, "ssl.ca.location"),
            ] {
                let worker = try bench.worker(settings, ready: false)
                #expect(try worker.wait(seconds: 60) == code, "\(worker.errors)")
                let line = try #require(worker.errors.split(separator: "\n").last { $0.hasPrefix("plugin-starter:") })
                #expect(line.contains(says))
                #expect(!worker.errors.contains("wrong-password"))
            }
        }

        @Test(.needsKafka) func `a missing topic and too few partitions exit 64 and name the fix`() throws {
            let bench = try WorkerHarness("topics")
            let missing = try bench.worker(["--requests-topic", "no-such-topic"], ready: false)
            #expect(try missing.wait() == 64)
            #expect(missing.errors.contains("there is no topic no-such-topic"))
            let small = try bench.broker.topics("small", requests: 4, results: 2)
            let few = try bench.worker(
                ["--requests-topic", small.requests, "--results-topic", small.results], ready: false)
            #expect(try few.wait() == 64)
            #expect(few.errors.contains("has 2 partitions and \(small.requests) has 4"))
        }

        @Test(
            .needsKafka,
            arguments: [
                ("cleanup.policy=compact", "--add-config cleanup.policy=delete"),
                ("retention.ms=3600000", "--add-config retention.ms=86400000"),
            ]) func `a results topic that loses results within the window exits 64 and names the setting`(
                _ setting: String, _ says: String
            ) throws
        {
            let bench = try WorkerHarness("forgetful")
            let results = "\(bench.topics.results)-forgetful"
            try bench.broker.tool(
                "kafka-topics.sh", ["--create", "--topic", results, "--partitions", "12", "--config", setting])
            let worker = try bench.worker(["--results-topic", results], ready: false)
            #expect(try worker.wait() == 64)
            #expect(worker.errors.contains(says), "\(worker.errors)")
        }

        @Test(.needsKafka) func `asking for a topic does not create it`() throws {
            let bench = try WorkerHarness("uncreated")
            let absent = "absent-\(UUID().uuidString.prefix(8))"
            #expect(try bench.worker(["--requests-topic", absent], ready: false).wait() == 64)
            #expect(try !run("kcat", ["-L", "-b", bench.broker.bootstrap]).contains(absent))
        }

        @Test(.needsKafka) func `plaintext to a TLS port fails within seconds and names the setting`() throws {
            let bench = try WorkerHarness("plaintext")
            let servers = try #require(bench.broker.tlsBootstrap)
            let worker = try bench.worker(["--bootstrap-servers", servers], ready: false)
            #expect(try worker.wait(seconds: 20) == 69)
            #expect(worker.errors.contains("set security.protocol=SSL or SASL_SSL"), "\(worker.errors)")
        }

        @Test func `SIGHUP ends no worker, and with a JSON log every line is JSON`() throws {
            let bench = try WorkerHarness("hangup")
            let worker = try bench.worker(
                ["--log-format", "json", "--admin-listen", "127.0.0.1:0"],
                environment: ["PLUGIN_STARTER_QOUTA": "5/60s"], ready: false)
            try worker.says("\"ready\"")
            worker.signal(SIGHUP)
            try worker.says("SIGHUP ignored")
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            let lines = worker.errors.split(separator: "\n")
            #expect(lines.contains { $0.contains("did you mean PLUGIN_STARTER_QUOTA?") })
            #expect(lines.contains { $0.contains("admin endpoint") })
            for line in lines { #expect(throws: Never.self) { try JSON(parsing: Array(line.utf8)) } }
        }

        @Test func `an unreachable broker exits 69`() throws {
            let bench = try WorkerHarness("nobody")
            let request = try Executable.starter([
                "request", "--bootstrap-servers", "127.0.0.1:1", "--project-id", "p", "--plugin-code", "x", "--host",
                "h",
            ])
            #expect(try request.wait() == 69)
            #expect(request.errors.contains("127.0.0.1:1 cannot be reached"))
            _ = bench
        }
    }

    @Suite struct Authentication {
        @Test func `a clock twenty minutes off is named in the log and by readyz, and fails no request`() throws {
            let bench = try WorkerHarness("clock", sandbox: ["--quota", "off", "--clock-offset", "20m"])
            let worker = try bench.worker(["--admin-listen", "127.0.0.1:0"])
            try bench.publish((0..<5).map { .plain("k\($0)") })
            try worker.says("clock differs from the server's")
            let admin = try worker.adminURL()
            try eventually("readyz names the clock", seconds: 10) {
                try run("curl", ["-s", "\(admin)/readyz"]).contains("clock differs")
            }
            #expect(try bench.count(bench.topics.results) == 0)
            let summary = try JSON(parsing: Array(run("curl", ["-sf", "\(bench.url)/_sandbox/summary"]).utf8))
            #expect((summary["start_calls"]?.integer ?? 9) <= 3)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `after a wrong key is fixed on disk calls resume without restart, failure or lockout`() throws {
            let bench = try WorkerHarness("auth")
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("sk-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try "wrong".write(to: file, atomically: true, encoding: .utf8)
            let worker = try bench.worker(environment: ["HUAWEICLOUD_SDK_SK": "", "HUAWEICLOUD_SDK_SK_FILE": file.path])
            try bench.publish((0..<20).map { .plain("k\($0)") })
            try worker.says("credential refused")
            #expect(try bench.count(bench.topics.results) == 0)
            try "sandbox-secret".write(to: file, atomically: true, encoding: .utf8)
            try bench.waitForResults(20, seconds: 30, worker)
            #expect(try bench.results().allSatisfy { $0.status == "succeeded" })
            let summary = try JSON(parsing: Array(run("curl", ["-sf", "\(bench.url)/_sandbox/summary"]).utf8))
            #expect(summary["lockouts"]?.integer == 0)
            #expect(!worker.errors.contains("sandbox-secret"))
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }
    }

    @Suite struct Commands {
        @Test func `a failed request exits 1 with its error, and results shows it`() throws {
            let bench = try WorkerHarness("commands")
            let worker = try bench.worker()
            let common = [
                "--bootstrap-servers", bench.broker.bootstrap, "--results-topic", bench.topics.results,
            ]
            let request = try Executable.starter(
                [
                    "request", "--requests-topic", bench.topics.requests, "--project-id", "p", "--plugin-code", "ndr",
                    "--host", "unknown-1", "--idempotency-key", "mine", "--wait",
                ] + common)
            #expect(try request.wait() == 1)
            #expect(request.output.contains("mine failed"))
            #expect(request.errors.contains("HSS.0011"))
            #expect(request.errors.hasSuffix("Then send it again with a new key.\n"))
            let table = try run(Executable.binary.path, ["results", "--key", "mine"] + common)
            #expect(table.contains("mine") && table.contains("failed"))
            let json = try run(
                Executable.binary.path, ["results", "--json", "--status", "failed", "--limit", "1"] + common)
            #expect(try JSON(parsing: Array(json.utf8.dropLast()))["idempotency_key"]?.string == "mine")
            #expect(try run(Executable.binary.path, ["results", "--status", "succeeded"] + common).isEmpty)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }
    }
}

@Suite struct WithoutABroker {
    @Test(arguments: [
        ("http://hss.example.com", true), ("http://10.0.0.1:8081", true), ("http://127.0.0.1.example.com", true),
        ("http://[fe80::1]", true), ("https://hss.example.com", false), ("http://127.0.0.1:1", false),
        ("http://localhost:1", false), ("http://[::1]:1", false),
    ]) func `an endpoint without TLS is refused except on this machine`(_ url: String, _ isRefused: Bool) throws {
        let arguments = ["run", "--bootstrap-servers", "127.0.0.1:1", "--admin-listen", "off", "--endpoint", url]
        for allowed in [[], ["--allow-plain-http"]] {
            let worker = try Executable.starter(arguments + allowed, environment: WorkerHarness.credentials)
            if isRefused && allowed.isEmpty {
                #expect(try worker.wait() == 64)
                #expect(worker.errors.contains("endpoint: \(url) must be https://, or give --allow-plain-http"))
            } else {
                try worker.says("starting")
                worker.signal(SIGKILL)
                try worker.wait()
            }
        }
    }

    @Test func `the demo adds up and exits 0`() throws {
        let demo = try Executable.starter(["demo", "--requests", "60"])
        #expect(try demo.wait(seconds: 90) == 0, "\(demo.errors)")
        #expect(demo.output.contains("StartPlugin calls"))
    }

    @Test(arguments: [
        (["run"], "region"), (["run", "--region", "cn-north-4", "--concurrency", "0"], "concurrency"),
        (["run", "--kafka-property", "group.id=x", "--endpoint", "http://127.0.0.1:1"], "group.id"),
        (["run", "--concurency", "3"], "did you mean --concurrency"), (["rum"], "did you mean run"),
        (["request", "--plugin-code", "x", "--host", "h"], "project_id is required"),
        (["sandbox", "--fault", "nonsense"], "nonsense"),
    ]) func `wrong settings exit 64 with one line that names them`(_ arguments: [String], _ says: String) throws {
        let starter = try Executable.starter(arguments, environment: WorkerHarness.credentials)
        #expect(try starter.wait(seconds: 10) == 64)
        #expect(starter.errors.contains(says), "\(starter.errors)")
        #expect(starter.errors.split(separator: "\n").count == 1)
    }

    @Test(arguments: [
        ["run", "--log-format=json"], ["run", "--log-format", "json", "--concurency", "3"],
        ["run", "--log-format", "json", "--endpoint", "http://127.0.0.1:1", "--kafka-property", "group.id=x"],
    ]) func `with a JSON log a startup error is JSON too`(_ arguments: [String]) throws {
        let starter = try Executable.starter(arguments, environment: WorkerHarness.credentials)
        #expect(try starter.wait(seconds: 10) == 64)
        let line = try JSON(parsing: Array(starter.errors.utf8.dropLast()))
        #expect(line["level"]?.string == "error" && line["code"]?.integer == 64, "\(starter.errors)")
    }

    @Test func `too low a limit of open files is named`() throws {
        let starter = try Executable(
            "bash", ["-c", "ulimit -n 40; exec \(Executable.binary.path) run --endpoint http://127.0.0.1:1"],
            environment: WorkerHarness.credentials)
        #expect(try starter.wait(seconds: 10) == 64)
        #expect(starter.errors.contains("nofile: 40 open files are allowed, and 80 are needed"), "\(starter.errors)")
    }

    @Test func `results since a time are printed, with the embedded broker`() throws {
        let broker = try Executable.starter(["broker"])
        let common = ["--bootstrap-servers", try broker.firstLine()]
        let sandbox = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0"])
        let worker = try Executable.starter(
            ["run", "--endpoint", try sandbox.firstLine(), "--admin-listen", "off"] + common,
            environment: WorkerHarness.credentials)
        let request = try Executable.starter(
            ["request", "--project-id", "p", "--plugin-code", "ndr", "--host", "h1,h2", "--wait", "60s"] + common)
        #expect(try request.wait() == 0, "\(request.errors) \(worker.errors)")
        let young = try run(Executable.binary.path, ["results", "--since", "1h", "--json"] + common)
        #expect(young.contains("[\"h1\",\"h2\"]"), "\(young)")
        #expect(try run(Executable.binary.path, ["results", "--since", "1ms"] + common).isEmpty)
    }

    @Test func `help lists every command`() throws {
        let text = try run(Executable.binary.path, ["--help"])
        for command in ["run", "demo", "request", "results", "check", "errors", "sandbox", "broker"] {
            #expect(text.contains("  \(command) "))
            #expect(try run(Executable.binary.path, [command, "--help"]).contains("--"))
        }
    }
}
