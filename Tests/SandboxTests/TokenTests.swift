import Foundation
import Testing

@testable import Core
@testable import HSS
@testable import HTTP
@testable import Sandbox

/// Calls with a user's token, which IAM gives.
@Suite struct TokenTests {
    static let user = [
        "HUAWEICLOUD_SDK_USERNAME": "sandbox", "HUAWEICLOUD_SDK_PASSWORD": "sandbox-password",
        "HUAWEICLOUD_SDK_DOMAIN": "sandbox",
    ]

    static func pair(
        _ faults: [String] = [], environment: [String: String] = user, connectTimeout: Duration = .seconds(5)
    ) throws -> SandboxTests.Pair {
        let faults = try faults.map { try Fault(parsing: $0) }
        let pair = try SandboxTests.Pair(environment: environment) { $0.faults = faults }
        let endpoint = try #require(Endpoint(url: pair.sandbox.baseURL))
        var http = HTTPClient.Configuration()
        http.connectTimeout = connectTimeout
        pair.client = try HSSClient(
            .init(hss: endpoint, iam: endpoint, projectName: "region"),
            credentials: Credentials(environment: environment), http: http)
        return pair
    }

    static func calls(_ pair: SandboxTests.Pair, _ api: String) throws -> Int {
        try run("curl", ["-sf", "\(pair.sandbox.baseURL)/_sandbox/journal"]).split(separator: "\n")
            .count { $0.contains("\"api\":\"\(api)\"") }
    }

    static func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }

    @Test func `a call with a void token fails after one call, and the next call has a new token`() throws {
        let pair = try Self.pair()
        defer { pair.sandbox.stop() }
        #expect(try pair.start(["a"]).httpStatus == 200)
        pair.clock.pass(.seconds(100_000))
        let reply = try pair.start(["b"])
        guard case .tokenVoid = reply.transport else {
            Issue.record("\(reply)")
            return
        }
        #expect(try Self.calls(pair, "start") == 2)
        let failure = try #require(Failure(reply))
        #expect(failure.disposition == .retry && !failure.effectUnknown && reply.mayHaveArrived)
        #expect(try pair.start(["b"]).httpStatus == 200)
        #expect(try Self.calls(pair, "token") == 2)
    }

    @Test func `a refused new token counts as a refusal of the user`() throws {
        let pair = try Self.pair(["401:api=start"])
        defer { pair.sandbox.stop() }
        for _ in 0..<2 {
            let reply = try pair.start(["a"])
            #expect(reply.httpStatus == 401)
            #expect(Failure(reply)?.disposition == .stop)
        }
        #expect(try Self.calls(pair, "start") == 2)
    }

    @Test func `a call that waits too long for its token fails unsent, and is not sent later`() throws {
        let pair = try Self.pair(["slow=2s:api=token,count=1"], connectTimeout: .milliseconds(200))
        defer { pair.sandbox.stop() }
        let began = Date()
        let reply = try pair.start(["late"])
        #expect(Date().timeIntervalSince(began) < 1.5)
        guard case .notSent = reply.transport else {
            Issue.record("\(reply)")
            return
        }
        #expect(!reply.mayHaveArrived && Failure(reply)?.disposition == .stop)
        var next = reply
        while next.httpStatus != 200 && Date().timeIntervalSince(began) < 10 { next = try pair.start(["b"]) }
        #expect(next.httpStatus == 200)
        #expect(try Self.calls(pair, "start") == 1)
        #expect(try Self.calls(pair, "token") == 1, "what IAM was asked for is used when it comes")
        #expect(pair.client.transit == .milliseconds(400), "a wait for a token, and one for a connection")
    }

    @Test func `a token issued to the old user is not used for the new one`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("pw-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try "sandbox-password".write(to: file, atomically: true, encoding: .utf8)
        var environment = Self.user
        environment["HUAWEICLOUD_SDK_PASSWORD"] = nil
        environment["HUAWEICLOUD_SDK_PASSWORD_FILE"] = file.path
        let pair = try Self.pair(["slow=500ms:api=token"], environment: environment)
        defer { pair.sandbox.stop() }
        let now = Now(uptime: Uptime(.seconds(ProcessInfo.processInfo.systemUptime)), wall: pair.clock.now)
        pair.client.start(
            StartCall(
                id: 77, projectID: "p", enterpriseProjectID: nil, pluginCode: "ndr", operateAll: false, hostIDs: ["a"]),
            now: now)
        try "another user's".write(to: file, atomically: true, encoding: .utf8)
        #expect(pair.client.credentialsChanged(now: now))
        let reply = try pair.answer(77)
        #expect(reply.source == .iam && reply.httpStatus == 401, "\(reply)")
        #expect(try Self.calls(pair, "start") == 0)
    }
}
