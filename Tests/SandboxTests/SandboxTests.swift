import Foundation
import Synchronization
import Testing

@testable import Core
@testable import HSS
@testable import HTTP
@testable import Sandbox

/// The client and the sandbox, each with its own code for signing, over a real socket.
@Suite struct SandboxTests {
    /// A clock that a test moves.
    final class TestClock: Sendable {
        private let time = Mutex(Timestamp(milliseconds: 1_767_225_600_000))
        var now: Timestamp { time.withLock { $0 } }
        func pass(_ duration: Duration) { time.withLock { $0 = $0 + duration } }
    }

    final class Pair {
        let clock = TestClock()
        let sandbox: Sandbox
        var client: HSSClient
        private var next: CallID = 0

        init(
            environment: [String: String] = ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"],
            timeout: Duration = .seconds(5), _ change: (inout Sandbox.Configuration) -> Void = { _ in }
        ) throws {
            var configuration = Sandbox.Configuration()
            configuration.quota = nil
            change(&configuration)
            let clock = clock
            sandbox = try Sandbox(configuration) { clock.now }
            client = try Self.client(sandbox.baseURL, environment, timeout)
        }

        static func client(_ url: String, _ environment: [String: String], _ timeout: Duration) throws -> HSSClient {
            var http = HTTPClient.Configuration()
            http.totalTimeout = timeout
            http.userAgent = "plugin-starter/instance"
            let endpoint = try #require(Endpoint(url: url))
            return try HSSClient(
                .init(hss: endpoint, iam: endpoint, projectName: "region"),
                credentials: Credentials(environment: environment), http: http)
        }

        func start(_ hosts: [String], project: String = "p") throws -> Reply {
            next += 1
            let now = Now(uptime: Uptime(.seconds(ProcessInfo.processInfo.systemUptime)), wall: clock.now)
            client.start(
                StartCall(
                    id: next, projectID: project, enterpriseProjectID: nil, pluginCode: "ndr", operateAll: false,
                    hostIDs: hosts), now: now)
            return try answer(next)
        }

        func status(_ hosts: [String], offset: Int = 0) throws -> Reply {
            next += 1
            let now = Now(uptime: Uptime(.seconds(ProcessInfo.processInfo.systemUptime)), wall: clock.now)
            client.status(
                StatusQuery(
                    id: next, projectID: "p", enterpriseProjectID: nil, pluginCode: "ndr", hostIDs: hosts,
                    offset: offset,
                    limit: 10), now: now)
            return try answer(next)
        }

        func answer(_ id: CallID) throws -> Reply {
            let deadline = Date().addingTimeInterval(10)
            while Date() < deadline {
                var watched = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
                unsafe _ = poll(&watched, 1, 5)
                let now = Now(uptime: Uptime(.seconds(ProcessInfo.processInfo.systemUptime)), wall: clock.now)
                if let (_, reply) = client.turn(now: now).first(where: { $0.0 == id }) { return reply }
            }
            throw CancellationError()
        }
    }

    @Test func `a signed start is accepted, and the plugin starts and then runs`() throws {
        let pair = try Pair()
        #expect(try pair.start(["a", "b"]).httpStatus == 200)
        #expect(try pair.status(["a"]).hosts.map(\.pluginStatus) == ["starting"])
        pair.clock.pass(.seconds(3))
        let reply = try pair.status(["a", "c", "unknown-x"])
        #expect(reply.hosts.map(\.pluginStatus) == ["running", "stopped"])
        #expect(reply.totalHosts == 2)
        pair.sandbox.stop()
    }

    @Test func `bad signatures are refused, and more than five lock the key`() throws {
        let pair = try Pair(environment: ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "wrong"])
        for _ in 0..<6 { #expect(try pair.start(["a"]).errorCode == "APIGW.0301") }
        pair.client = try Pair.client(
            pair.sandbox.baseURL, ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"], .seconds(5)
        )
        #expect(try pair.start(["a"]).errorMessage?.contains("locked") ?? false)
        pair.clock.pass(.seconds(301))
        #expect(try pair.start(["a"]).httpStatus == 200)
        pair.sandbox.stop()
    }

    @Test func `the quota counts calls of a user, and the 429 names the limit`() throws {
        let pair = try Pair { $0.quota = RateLimit(calls: 2, window: .seconds(60)) }
        #expect(try pair.start(["a"]).httpStatus == 200)
        #expect(try pair.start(["b"]).httpStatus == 200)
        let third = try pair.start(["c"])
        #expect(third.httpStatus == 429)
        #expect(third.rateLimit == RateLimit(calls: 2, window: .seconds(60)))
        #expect(try pair.status(["a"]).httpStatus == 200, "each API has its own")
        pair.clock.pass(.seconds(60))
        #expect(try pair.start(["c"]).httpStatus == 200)
        pair.sandbox.stop()
    }

    @Test(arguments: [
        ("unknown-1", "HSS.0011"), ("noagent-1", "HSS.1001"), ("offline-1", "HSS.1007"), ("notinstalled-1", "HSS.0001"),
    ]) func `one bad host refuses the whole call`(_ host: String, _ code: String) throws {
        let pair = try Pair()
        let reply = try pair.start(["good", host])
        #expect(reply.httpStatus == 400)
        #expect(reply.errorCode == code)
        #expect(try pair.status(["good"]).hosts.map(\.pluginStatus) == ["stopped"])
        pair.sandbox.stop()
    }

    static func fault(_ text: String) throws -> Pair {
        let fault = try Fault(parsing: text)
        return try Pair(timeout: .milliseconds(400)) { $0.faults = [fault] }
    }

    @Test(arguments: [
        ("503:count=1", 503 as Int?, nil as String?), ("HSS.1006:count=1", 400, "HSS.1006"), ("html:count=1", 502, nil),
        ("429:count=1", 429, "APIGW.0308"), ("302:count=1", 302, nil), ("HSS.0001:plugin=ndr,count=1", 400, "HSS.0001"),
    ]) func `a fault hits one call, and the next call succeeds`(_ fault: String, _ status: Int?, _ code: String?)
        throws
    {
        let pair = try Self.fault(fault)
        let first = try pair.start(["a"])
        #expect(first.httpStatus == status)
        #expect(first.errorCode == code)
        #expect(try pair.start(["a"]).httpStatus == 200)
        pair.sandbox.stop()
    }

    @Test(arguments: ["hang:count=1", "reset:count=1", "lost:count=1"])
    func `a missing answer counts as lost, not as refused`(_ fault: String) throws {
        let pair = try Self.fault(fault)
        let reply = try pair.start(["a"])
        guard case .lost = reply.transport else {
            Issue.record("\(reply)")
            return
        }
        let effect = try pair.status(["a"]).hosts.first?.pluginStatus
        #expect(effect == (fault.hasPrefix("lost") ? "starting" : "stopped"))
        pair.sandbox.stop()
    }

    @Test func `a call to a closed port counts as not sent`() throws {
        let pair = try Pair()
        pair.sandbox.stop()
        let reply = try pair.start(["a"])
        guard case .notSent = reply.transport else {
            Issue.record("\(reply)")
            return
        }
    }

    @Test(arguments: [
        "", "503:", "503:count=0", "503:rate=2", "99", "503:colour=red", "slow=fast", "503:api=none", "503:plugin",
    ])
    func `an invalid fault is refused`(_ text: String) {
        #expect(throws: Fault.ParseError.self) { try Fault(parsing: text) }
    }

    @Test func `many late answers at once all arrive`() throws {
        let pair = try Pair { $0.latency = .milliseconds(20) }
        let now = Now(uptime: .zero, wall: pair.clock.now)
        for id in 1...300 {
            pair.client.start(
                StartCall(
                    id: CallID(id), projectID: "p", enterpriseProjectID: nil, pluginCode: "ndr", operateAll: false,
                    hostIDs: ["h\(id)"]), now: now)
        }
        var done = 0
        let deadline = Date().addingTimeInterval(20)
        while done < 300 && Date() < deadline {
            var watched = pollfd(fd: pair.client.descriptor, events: Int16(POLLIN), revents: 0)
            unsafe _ = poll(&watched, 1, 5)
            let time = Now(uptime: Uptime(.seconds(ProcessInfo.processInfo.systemUptime)), wall: pair.clock.now)
            done += pair.client.turn(now: time).filter { $0.1.httpStatus == 200 }.count
        }
        #expect(done == 300)
        pair.sandbox.stop()
    }
}
