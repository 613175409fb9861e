import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// `check` against HSS, the environment and files that are wrong in one way each. Uses the embedded broker.
    @Suite struct ChecksOfHSS {
        struct Case: CustomTestStringConvertible, Sendable {
            var testDescription: String
            var sandbox: [String] = []
            var flags: [String] = []
            var environment: [String: String] = [:]
            var subjects: Set<String>
            var remedy: String
        }

        private static let user = [
            "HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": "", "HUAWEICLOUD_SDK_USERNAME": "sandbox",
            "HUAWEICLOUD_SDK_PASSWORD": "wrong", "HUAWEICLOUD_SDK_DOMAIN": "sandbox",
        ]

        private static let cases: [Case] = [
            Case(
                testDescription: "a wrong secret key", environment: ["HUAWEICLOUD_SDK_SK": "wrong"],
                subjects: ["credentials"], remedy: "six refusals in a row lock a key"),
            Case(
                testDescription: "a wrong user", flags: ["--iam-endpoint", "ENDPOINT", "--project-name", "n"],
                environment: user, subjects: ["credentials"], remedy: "check key, secret and region"),
            Case(
                testDescription: "a user and no IAM", environment: user, subjects: ["endpoint"], remedy: "--endpoint"),
            Case(
                testDescription: "no credential", environment: ["HUAWEICLOUD_SDK_AK": ""], subjects: ["credentials"],
                remedy: "set HUAWEICLOUD_SDK_AK"),
            Case(
                testDescription: "a clock that is wrong", sandbox: ["--clock-offset", "20m"],
                subjects: ["clock", "credentials"], remedy: "NTP"),
            Case(
                testDescription: "no HSS", flags: ["--endpoint", "http://127.0.0.1:1"], subjects: ["hss"],
                remedy: "check --region or --endpoint"),
            Case(
                testDescription: "two endpoints", flags: ["--region", "cn-north-4"], subjects: ["endpoint"],
                remedy: "set --region"),
            Case(
                testDescription: "an unknown plugin", flags: ["--plugin-code", "no-such"], subjects: ["plugins"],
                remedy: "correct the code"),
            Case(
                testDescription: "no policy file", flags: ["--policy", "/no/such/file"], subjects: ["policy"],
                remedy: "docs/settings.md"),
            Case(
                testDescription: "a policy file with a mistake", flags: ["--policy", "FILE"], subjects: ["policy"],
                remedy: "docs/settings.md"),
        ]

        private static func check(
            _ broker: String, _ endpoint: String, _ flags: [String], _ environment: [String: String] = [:],
            through prefix: String? = nil
        ) throws -> Executable {
            let arguments = [
                "check", "--json", "--bootstrap-servers", broker, "--endpoint", endpoint, "--project-id", "p",
            ]
            let variables = WorkerHarness.credentials.merging(environment) { $1 }
            guard let prefix else { return try Executable.starter(arguments + flags, environment: variables) }
            return try Executable(
                "bash", ["-c", "\(prefix); exec \"$0\" \"$@\"", Executable.binary.path] + arguments + flags,
                environment: variables)
        }

        private static func errors(_ check: Executable) throws -> [(what: String, remedy: String)] {
            try check.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
                .filter { $0["level"]?.string == "error" }
                .map { ($0["what"]?.string ?? "", $0["remedy"]?.string ?? "") }
        }

        @Test(arguments: cases) func `each fault is named with its remedy, exits 1 and costs at most one refusal`(
            _ one: Case
        ) throws {
            let broker = try Executable.starter(["broker"])
            let sandbox = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0"] + one.sandbox)
            let (servers, url) = (try broker.firstLine(), try sandbox.firstLine())
            let directory = try Executable.scratch("policy")
            defer { try? FileManager.default.removeItem(at: directory) }
            let file = directory.appendingPathComponent("policy.yaml").path
            try "projets: [p]\n".write(toFile: file, atomically: true, encoding: .utf8)
            let flags = one.flags.map { $0 == "ENDPOINT" ? url : $0 == "FILE" ? file : $0 }
            let check = try Self.check(servers, url, flags, one.environment)
            #expect(try check.wait() == 1, "\(check.output) \(check.errors)")
            let errors = try Self.errors(check)
            #expect(Set(errors.map(\.what)) == one.subjects, "\(errors)")
            #expect(errors.contains { $0.remedy.contains(one.remedy) }, "\(errors)")
            let journal = try run("curl", ["-sf", "\(url)/_sandbox/journal"]).split(separator: "\n")
                .map { try JSON(parsing: Array($0.utf8)) }
            #expect(journal.count { $0["status"]?.integer == 401 } <= 1)
            #expect(!journal.contains { $0["api"]?.string == "start" })
        }

        @Test func `too few open files are named`() throws {
            let broker = try Executable.starter(["broker"])
            let sandbox = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0"])
            let check = try Self.check(
                try broker.firstLine(), try sandbox.firstLine(), ["--concurrency", "400"], through: "ulimit -n 300")
            #expect(try check.wait() == 1)
            #expect(try Self.errors(check).map(\.what) == ["open-files"])
        }

        private static let unreachable: [([String], Int32)] = [
            (["--bootstrap-servers", "127.0.0.1:1"], 69), (["--kafka-property", "group.id=g"], 64),
        ]

        @Test(arguments: unreachable) func `where nothing can be asked the exit code is that of run`(
            _ flags: [String], _ code: Int32
        ) throws {
            let check = try Self.check("127.0.0.1:1", "http://127.0.0.1:1", flags)
            #expect(try check.wait() == code, "\(check.output)")
            #expect(try !Self.errors(check).isEmpty)
        }

        @Test func `without a project the read is not signed, and a warning says so`() throws {
            let broker = try Executable.starter(["broker"])
            let sandbox = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0"])
            let url = try sandbox.firstLine()
            let check = try Executable.starter(
                ["check", "--bootstrap-servers", try broker.firstLine(), "--endpoint", url],
                environment: WorkerHarness.credentials)
            #expect(try check.wait() == 0, "\(check.output)")
            #expect(check.output.contains("warning credentials    not checked"), "\(check.output)")
            #expect(check.output.contains("remedy: give --project-id"))
            #expect(check.output.contains("ok      clock"))
            let calls = try run("curl", ["-sf", "\(url)/_sandbox/summary"])
            #expect(!calls.contains("401"), "\(calls)")
        }
    }
}
