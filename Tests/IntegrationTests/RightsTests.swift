import Foundation
import Testing

extension OnABroker {
    /// What a missing right looks like to the user that lacks it, on a broker with authorization.
    @Suite(.enabled(if: Broker.canBeStarted, "needs a broker of its own: \(Broker.remedy)")) struct Rights {
        static let topics = Result { () throws -> Topics in
            let broker = try Broker.guarded.get()
            let topics = Topics(requests: "rights.requests", results: "rights.results", group: "rights-group")
            for topic in [topics.requests, topics.results, "elsewhere"] {
                try broker.tool("kafka-topics.sh", ["--create", "--topic", topic, "--partitions", "12"])
            }
            func allow(_ operation: String, _ resource: [String], _ users: [String]) throws {
                let principals = users.flatMap { ["--allow-principal", "User:\($0)"] }
                try broker.tool("kafka-acls.sh", ["--add", "--operation", operation] + resource + principals)
            }
            try allow("READ", ["--topic", topics.requests], ["worker", "noresults", "nowrite", "nogroup"])
            try allow("READ", ["--topic", topics.results], ["worker", "norequests", "nowrite", "nogroup", "reader"])
            try allow("WRITE", ["--topic", topics.results], ["worker", "norequests", "noresults", "nogroup"])
            try allow("WRITE", ["--topic", "elsewhere"], ["nowrite"])
            try allow("READ", ["--group", topics.group], ["worker", "norequests", "noresults", "nowrite"])
            return topics
        }

        static func client(_ user: String) throws -> [String] {
            let broker = try Broker.guarded.get()
            let directory = try #require(broker.directory)
            return [
                "--bootstrap-servers", try #require(broker.tlsBootstrap), "--kafka-property",
                "security.protocol=SASL_SSL", "--kafka-property", "sasl.mechanism=PLAIN", "--kafka-property",
                "sasl.username=\(user)", "--kafka-property", "sasl.password=\(user)-secret", "--kafka-property",
                "ssl.ca.location=\(directory.appendingPathComponent("ca.pem").path)",
            ]
        }

        static func worker(_ user: String, _ more: [String] = []) throws -> Executable {
            let topics = try topics.get()
            return try Executable.starter(
                [
                    "run", "--requests-topic", topics.requests, "--results-topic", topics.results, "--group",
                    topics.group, "--endpoint", "http://127.0.0.1:1", "--admin-listen", "off",
                ] + client(user) + more, environment: WorkerHarness.credentials)
        }

        @Test(arguments: [
            ("norequests", "READ permission on topic rights.requests", "--topic rights.requests"),
            ("noresults", "READ permission on topic rights.results", "--topic rights.results"),
            ("nowrite", "WRITE permission on topic rights.results", "--topic rights.results"),
            ("nogroup", "READ permission on group rights-group", "--group rights-group"),
        ]) func `a missing permission is named before the first assignment, and exits 77`(
            _ user: String, _ right: String, _ flag: String
        ) throws {
            let worker = try Self.worker(user)
            #expect(try worker.wait(seconds: 40) == 77, "\(worker.errors)")
            let line = try #require(worker.errors.split(separator: "\n").last { $0.hasPrefix("plugin-starter:") })
            #expect(line.contains("user \(user) lacks \(right): run kafka-acls.sh"), "\(line)")
            #expect(line.contains("--add --allow-principal User:\(user)") && line.hasSuffix(flag))
            #expect(!worker.errors.contains("partitions assigned"))
        }

        @Test func `with the least rights the worker is ready`() throws {
            let worker = try Self.worker("worker")
            try worker.says(" ready")
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        /// Revokes and restores READ on the requests topic and WRITE on the results topic for the user `worker`.
        @Test func `readyz names a revoked permission until it is granted again`() throws {
            _ = try Self.topics.get()
            let broker = try Broker.guarded.get()
            func change(_ verb: [String], _ operation: String, _ topic: String) throws {
                try broker.tool(
                    "kafka-acls.sh",
                    verb + ["--operation", operation, "--topic", topic, "--allow-principal", "User:worker"])
            }
            let worker = try Self.worker("worker", ["--admin-listen", "127.0.0.1:0"])
            try worker.says(" ready")
            let readyz = try worker.adminURL() + "/readyz"
            try eventually("ready", seconds: 20) { try run("curl", ["-s", readyz]) == "ok\n" }
            try change(["--remove", "--force"], "READ", "rights.requests")
            try eventually("readyz names READ", seconds: 20) {
                try run("curl", ["-s", readyz]).contains("lacks READ permission on topic rights.requests")
            }
            try change(["--add"], "READ", "rights.requests")
            try eventually("READ is back", seconds: 40) { try run("curl", ["-s", readyz]) == "ok\n" }
            try change(["--remove", "--force"], "WRITE", "rights.results")
            let request = "\(try Executable.scratch("request").path)/value"
            try "{}".write(toFile: request, atomically: true, encoding: .utf8)
            try run("kcat", ["-P", "-b", broker.bootstrap, "-t", "rights.requests", request])
            try eventually("readyz names WRITE", seconds: 20) {
                try run("curl", ["-s", readyz]).contains("lacks WRITE permission on topic rights.results")
            }
            try change(["--add"], "WRITE", "rights.results")
            try eventually("WRITE is back", seconds: 90) { try run("curl", ["-s", readyz]) == "ok\n" }
            #expect(worker.errors.split(separator: "\n").filter { $0.contains("lacks WRITE permission") }.count <= 2)
            broker.crash()
            try eventually("readyz names the broker", seconds: 20) {
                try run("curl", ["-s", readyz]).contains("no broker can be used")
            }
            try broker.start()
            try eventually("the broker is back", seconds: 90) { try run("curl", ["-s", readyz]) == "ok\n" }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `results needs READ on its topic and no right on a group`() throws {
            let topics = try Self.topics.get()
            let results = try Executable.starter(
                ["results", "--results-topic", topics.results] + Self.client("reader"))
            #expect(try results.wait(seconds: 30) == 0, "\(results.errors)")
            let refused = try Executable.starter(
                ["results", "--results-topic", topics.results] + Self.client("noresults"))
            #expect(try refused.wait(seconds: 30) == 77)
            #expect(refused.errors.contains("READ permission on topic rights.results"), "\(refused.errors)")
        }
    }
}
