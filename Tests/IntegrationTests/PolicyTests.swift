import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Policies {
        /// A worker whose policy is in a file that the test changes.
        struct Setup {
            let bench: WorkerHarness
            let worker: Executable
            let admin: String
            let folder: URL
            var file: URL { folder.appendingPathComponent("policy.yaml") }

            init(_ name: String, _ policy: String) throws {
                bench = try WorkerHarness(name, partitions: 1)
                folder = try Executable.scratch("policy")
                let file = folder.appendingPathComponent("policy.yaml")
                try policy.write(to: file, atomically: true, encoding: .utf8)
                worker = try bench.worker(["--policy", file.path, "--admin-listen", "127.0.0.1:0"])
                admin = try worker.adminURL()
            }

            func write(_ policy: String) throws { try policy.write(to: file, atomically: true, encoding: .utf8) }

            func readiness() throws -> String { try run("curl", ["-s", "\(admin)/readyz"]) }

            /// Publishes one request and waits for its result.
            func answer(
                _ key: String, _ more: String = #""host_id_list":["h"]"#, project: String = "p"
            ) throws -> JSON {
                let value = #"{"idempotency_key":"\#(key)","project_id":"\#(project)","plugin_code":"ndr",\#(more)}"#
                let before = try bench.count(bench.topics.results)
                try bench.publish([.init(key: key, value: value)])
                try bench.waitForResults(before + 1, worker)
                return try #require(try bench.results().last { $0.key == key }).json
            }

            func end() throws {
                worker.signal(SIGTERM)
                #expect(try worker.wait() == 0)
                try FileManager.default.removeItem(at: folder)
            }
        }

        private static let deny = "rules: [{name: no-h, effect: deny, hosts: [h]}]\n"

        @Test
        func `operate_all without leave is rejected with the rule's name and no call, and with leave it is called`()
            throws
        {
            let setup = try Setup(
                "policy",
                "rules: [{name: leave, effect: allow, projects: [q], plugins: ['*'], operate-all: true}]\n")
            let refused = try setup.answer("a", #""operate_all":true"#)
            #expect(refused["status"]?.string == "rejected")
            #expect(refused["error"]?["category"]?.string == "policy")
            #expect(
                refused["error"]?["detail"]?.string == "operate_all is not allowed by the policy (allow-operate-all)")
            #expect(try setup.bench.journal().isEmpty)
            let allowed = try setup.answer("b", #""operate_all":true"#, project: "q")
            #expect(allowed["status"]?.string == "succeeded")
            #expect(try setup.bench.journal().compactMap { $0["project_id"]?.string } == ["q"])
            try setup.end()
        }

        @Test func `a policy file that breaks changes nothing and is named, and a good one is taken when it changes`()
            throws
        {
            let setup = try Setup("policy-breaks", Self.deny)
            #expect(try setup.answer("a")["status"]?.string == "rejected")
            try setup.write("rules: [{name: no-h, effect: maybe}]\n")
            try setup.worker.says("policy file not taken: the old policy stays in force")
            let fault = "effect (\(setup.file.path):1:30): \"maybe\" must be one of: allow, deny"
            try eventually("the file is named", seconds: 10, otherwise: { setup.worker.errors }) {
                let text = try setup.readiness()
                return text.hasPrefix("ok\nnote: policy file not taken since ") && text.contains(fault)
            }
            #expect(setup.worker.errors.contains("must be one of: allow, deny"))
            #expect(try run("curl", ["-s", "\(setup.admin)/metrics"]).contains("plugin_starter_policy_current 0"))
            #expect(try setup.answer("b")["error"]?["detail"]?.string?.contains("(no-h)") ?? false)
            #expect(try setup.bench.journal().isEmpty)

            try setup.write("max-hosts: 1\n")
            try setup.worker.says("policy file read: it is in force")
            try eventually("nothing is noted", seconds: 10) { try setup.readiness() == "ok\n" }
            #expect(try setup.answer("c")["status"]?.string == "succeeded")
            try setup.end()
        }

        @Test func `SIGHUP reads the policy at once, and maintenance holds what waits`() throws {
            let setup = try Setup("policy-signal", "max-hosts: 1\n")
            try setup.write("maintenance: [{name: freeze, from: 2000-01-01T00:00:00Z, to: 2100-01-01T00:00:00Z}]\n")
            setup.worker.signal(SIGHUP)
            try setup.worker.says("SIGHUP: reading the policy file again")
            try setup.worker.says("policy file read: it is in force")
            try setup.bench.publish([.plain("a")])
            try eventually("the request waits", seconds: 20, otherwise: { setup.worker.errors }) {
                try run("curl", ["-s", "\(setup.admin)/metrics"]).contains("plugin_starter_waiting_requests 1")
            }
            #expect(try setup.readiness().contains("note: maintenance freeze until 2100-01-01T00:00:00.000Z"))
            #expect(try setup.bench.journal().isEmpty)
            try setup.write("# nothing\n")
            setup.worker.signal(SIGHUP)
            try setup.bench.waitForResults(1, setup.worker)
            #expect(try setup.bench.journal().count == 1)
            try setup.end()
        }

        @Test func `a dry run answers and makes no call`() throws {
            let setup = try Setup("policy-dry", "dry-run: true\n")
            let result = try setup.answer("a")
            #expect(result["status"]?.string == "rejected" && result["error"]?["code"]?.string == "dry-run")
            #expect(
                result["error"]?["detail"]?.string
                    == "would start ndr on 1 hosts of project p; allowed by default, without a call (dry-run)")
            #expect(try setup.bench.journal().isEmpty)
            try setup.end()
        }

        @Test func `a worker does not start with a broken policy file, and plan names the rules`() throws {
            let folder = try Executable.scratch("policy-plan")
            defer { try? FileManager.default.removeItem(at: folder) }
            let (policy, requests) = (
                folder.appendingPathComponent("policy.yaml"), folder.appendingPathComponent("requests.ndjson")
            )
            try Self.deny.write(to: policy, atomically: true, encoding: .utf8)
            try
                (WorkerHarness.Request.plain("a", host: "h").value + "\n" + WorkerHarness.Request.plain("b").value
                + "\n")
                .write(to: requests, atomically: true, encoding: .utf8)
            let arguments = ["plan", requests.path, "--policy", policy.path]
            let table = try run(Executable.binary.path, arguments)
            #expect(table.contains("POLICY RULE") && table.contains("no-h") && table.contains("refused"))
            let rules = try run(Executable.binary.path, arguments + ["--json"]).split(separator: "\n")
                .compactMap { try JSON(parsing: Array($0.utf8))["policy_rule"]?.string }
            #expect(rules.sorted() == ["default", "no-h"])
            try "max-hosts: many\n".write(to: policy, atomically: true, encoding: .utf8)
            let broken = try Executable.starter(arguments)
            #expect(try broken.wait() == 64)
            #expect(broken.errors.contains("max-hosts (\(policy.path):1:12): \"many\" must be a whole number"))
        }
    }
}
