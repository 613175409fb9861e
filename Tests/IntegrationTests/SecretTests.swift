import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// The sandbox repeats each request in its refusal, secrets included.
    @Suite struct Secrets {
        /// Everything that a worker prints and publishes during one request.
        static func everything(_ bench: WorkerHarness, _ environment: [String: String], until text: String) throws
            -> String
        {
            let worker = try bench.worker(
                ["--admin-listen", "127.0.0.1:0", "--log-level", "debug", "--iam-endpoint", bench.url],
                environment: environment)
            try bench.publish([.plain("a")])
            try worker.says(text)
            let admin = try worker.adminURL()
            let pages = try ["livez", "readyz", "metrics"].map { try run("curl", ["-s", "\(admin)/\($0)"]) }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            let results = try run(
                "kcat", ["-C", "-b", bench.broker.bootstrap, "-t", bench.topics.results, "-e", "-q", "-J"])
            return pages.joined() + worker.errors + worker.output + results
        }

        @Test func `keys that the server repeats reach no result, log or metric`() throws {
            let bench = try WorkerHarness(
                "echo-keys",
                sandbox: [
                    "--quota", "off", "--access-key", "AK-canary-1", "--secret-key", "SK-canary-2", "--fault", "echo",
                ])
            let secrets = [
                "HUAWEICLOUD_SDK_AK": "AK-canary-1", "HUAWEICLOUD_SDK_SK": "SK-canary-2",
                "HUAWEICLOUD_SDK_SECURITY_TOKEN": "token/canary+3==",
            ]
            let everything = try Self.everything(bench, secrets, until: "request ended")
            #expect(everything.contains("ECHO.***"), "the server did repeat it")
            #expect(!everything.contains("canary"), "\(everything)")
        }

        @Test func `a password and a token that the servers repeat reach no result, log or metric`() throws {
            let user = [
                "HUAWEICLOUD_SDK_AK": "", "HUAWEICLOUD_SDK_SK": "", "HUAWEICLOUD_SDK_USERNAME": "sandbox",
                "HUAWEICLOUD_SDK_PASSWORD": "pass\"canary\"", "HUAWEICLOUD_SDK_DOMAIN": "sandbox",
            ]
            for (name, api, says) in [("token", "start", "request ended"), ("password", "token", "credential refused")]
            {
                let bench = try WorkerHarness(
                    "echo-\(name)",
                    sandbox: ["--quota", "off", "--password", "pass\"canary\"", "--fault", "echo:api=\(api)"])
                let everything = try Self.everything(bench, user, until: says)
                #expect(everything.contains("refused: "), "the server did repeat it")
                #expect(!everything.contains("canary") && !everything.contains("sandbox-token"), "\(everything)")
            }
        }
    }
}
