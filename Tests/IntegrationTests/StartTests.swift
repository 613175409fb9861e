import Foundation
import Testing

@testable import Core

extension OnARealBroker {
    /// What keeps `run` from starting: an exit code, and one line that says what to change.
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

        @Test func `through TLS and a password a request is answered`() throws {
            let bench = try Bench("tls")
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

        @Test func `a wrong password exits 77, a wrong CA 69`() throws {
            let bench = try Bench("refused")
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

        @Test func `a missing topic and too few partitions exit 64 and say what to change`() throws {
            let bench = try Bench("topics")
            let missing = try bench.worker(["--requests-topic", "no-such-topic"], ready: false)
            #expect(try missing.wait() == 64)
            #expect(missing.errors.contains("there is no topic no-such-topic"))
            let small = try bench.broker.topics("small", requests: 4, results: 2)
            let few = try bench.worker(
                ["--requests-topic", small.requests, "--results-topic", small.results], ready: false)
            #expect(try few.wait() == 64)
            #expect(few.errors.contains("has 2 partitions and \(small.requests) has 4"))
        }

        @Test func `a broker that is not there exits 69`() throws {
            let bench = try Bench("nobody")
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
        @Test func `a clock that is twenty minutes off is named, in the log and by readyz, and fails nothing`() throws {
            let bench = try Bench("clock", sandbox: ["--quota", "off", "--clock-offset", "20m"])
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

        @Test func `a wrong key is mended on disk: calls go on with no restart, nothing failed, no lockout`() throws {
            let bench = try Bench("auth")
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
            let bench = try Bench("commands")
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
        let starter = try Executable.starter(arguments, environment: Bench.credentials)
        #expect(try starter.wait(seconds: 10) == 64)
        #expect(starter.errors.contains(says), "\(starter.errors)")
        #expect(starter.errors.split(separator: "\n").count == 1)
    }

    @Test func `help tells of every command`() throws {
        let text = try run(Executable.binary.path, ["--help"])
        for command in ["run", "demo", "request", "results", "errors", "sandbox", "broker"] {
            #expect(text.contains("  \(command) "))
            #expect(try run(Executable.binary.path, [command, "--help"]).contains("--"))
        }
    }
}
