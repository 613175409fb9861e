import Foundation
import Synchronization
import Testing

@testable import Core
@testable import HTTP

@Suite struct HTTPTests {
    static func exchange(
        maximumBytes: Int = 1 << 20, _ request: (String) -> HTTPRequest,
        _ handler: @escaping @Sendable (ServerRequest) -> ServerAction
    ) throws -> HTTPCompletion {
        let server = try HTTPServer(address: "127.0.0.1", port: 0, handler: handler)
        defer { server.stop() }
        var configuration = HTTPClient.Configuration(maximumResponseBytes: maximumBytes)
        configuration.totalTimeout = .milliseconds(500)
        let client = try HTTPClient(configuration)
        client.send(request("http://127.0.0.1:\(server.port)"), id: 7)
        return try completion(of: client)
    }

    static func completion(of client: HTTPClient) throws -> HTTPCompletion {
        let deadline = Date().addingTimeInterval(10)
        while Date() < deadline {
            var watched = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
            unsafe _ = poll(&watched, 1, 5)
            if let done = client.turn(now: .seconds(ProcessInfo.processInfo.systemUptime)).first { return done }
        }
        throw CancellationError()
    }

    @Test func `what is sent arrives as it was, and the answer too`() throws {
        let done = try Self.exchange({
            HTTPRequest(
                method: "POST", url: $0 + "/a%2Fb/..%2e?q=%20x", headers: [("X-One", "1")], body: Array("body".utf8))
        }) { request in
            .respond(
                ServerResponse(
                    status: 201, headers: [("X-Two", "2")],
                    body: Array(
                        "\(request.method) \(request.target) \(request.header("x-one") ?? "") \(request.body.count)"
                            .utf8)))
        }
        #expect(done.id == 7)
        #expect(done.status == 201)
        #expect(done.header("x-two") == "2")
        #expect(String(decoding: done.body, as: UTF8.self) == "POST /a%2Fb/..%2e?q=%20x 1 4")
    }

    @Test func `a redirect is an answer, not a way`() throws {
        let done = try Self.exchange({ HTTPRequest(method: "GET", url: $0 + "/from") }) { request in
            .respond(
                request.path == "/from"
                    ? ServerResponse(status: 302, headers: [("Location", "/to")]) : ServerResponse(status: 200))
        }
        #expect(done.status == 302)
    }

    @Test func `an answer above the bound is cut off`() throws {
        let done = try Self.exchange(maximumBytes: 1000, { HTTPRequest(method: "GET", url: $0) }) { _ in
            .respond(ServerResponse(status: 200, body: [UInt8](repeating: 65, count: 1_000_000)))
        }
        guard case .tooLarge = done.failure else {
            Issue.record("\(done)")
            return
        }
    }

    @Test(arguments: [ServerAction.hang, .reset]) func `no answer is a lost one`(_ action: ServerAction) throws {
        let done = try Self.exchange({ HTTPRequest(method: "GET", url: $0) }) { _ in action }
        guard case .lost = done.failure else {
            Issue.record("\(done)")
            return
        }
    }

    /// libcurl by itself sends again on a fresh connection where one that it kept breaks without an answer.
    @Test func `a request whose kept connection breaks is not sent again by itself`() throws {
        let seen = Mutex(0)
        let server = try HTTPServer(address: "127.0.0.1", port: 0) { _ in
            let number = seen.withLock { count -> Int in
                count += 1
                return count
            }
            return number == 2 ? .reset : .respond(ServerResponse(status: 200))
        }
        defer { server.stop() }
        let client = try HTTPClient(HTTPClient.Configuration())
        let url = "http://127.0.0.1:\(server.port)/"
        func post() throws -> HTTPCompletion {
            client.send(HTTPRequest(method: "POST", url: url, body: Array("body".utf8)), id: 1)
            return try Self.completion(of: client)
        }
        #expect(try post().status == 200)
        guard case .lost = try post().failure else {
            Issue.record("sent \(seen.withLock { $0 }) times")
            return
        }
        #expect(seen.withLock { $0 } == 2)
        #expect(try post().status == 200, "and the client goes on")
    }

    @Test func `a port that is taken is named`() throws {
        let server = try HTTPServer(address: "127.0.0.1", port: 0) { _ in .respond(ServerResponse(status: 200)) }
        let error = #expect(throws: HTTPError.self) {
            try HTTPServer(address: "127.0.0.1", port: server.port) { _ in .respond(ServerResponse(status: 200)) }
        }
        #expect(error?.description.contains("127.0.0.1:\(server.port)") ?? false)
        server.stop()
    }
}
