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
            if let done = client.turn(now: Uptime(.seconds(ProcessInfo.processInfo.systemUptime))).first { return done }
        }
        throw CancellationError()
    }

    @Test func `request and response arrive unchanged`() throws {
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

    @Test func `a redirect is returned, not followed`() throws {
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

    @Test(arguments: [ServerAction.hang, .reset]) func `a missing answer is lost`(_ action: ServerAction) throws {
        let done = try Self.exchange({ HTTPRequest(method: "GET", url: $0) }) { _ in action }
        guard case .lost = done.failure else {
            Issue.record("\(done)")
            return
        }
    }

    @Test(arguments: [
        ("https://hss.example/v5/p?q=a@b:1", "hss.example:443"), ("http://hss.example", "hss.example:80"),
        ("http://127.0.0.1:8081/v5", "127.0.0.1:8081"), ("https://[::1]/v5", "[::1]:443"),
        ("https://[::1]:8443", "[::1]:8443"), ("https://user:secret@h:1/", "h:1"),
    ]) func `a failure names host and port, but no user or password`(_ url: String, _ place: String) {
        #expect(HTTPTransfer.place(url) == place)
    }

    @Test func `a refused connection names its address`() throws {
        let client = try HTTPClient(HTTPClient.Configuration())
        client.send(HTTPRequest(method: "POST", url: "http://127.0.0.1:1/v5/p?secret=1"), id: 1)
        guard case .notSent(let text) = try Self.completion(of: client).failure else {
            Issue.record("it was sent")
            return
        }
        #expect(text.hasPrefix("127.0.0.1:1: "))
        #expect(!text.contains("secret"))
    }

    /// Listens, answers the first connection with these bytes, and closes it.
    static func answering(_ bytes: String) throws -> (port: UInt16, thread: Thread) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, length) + listen(listener, 1) + getsockname(listener, $0, &length)
            }
        }
        try #require(code == 0)
        let thread = Thread {
            let connection = accept(listener, nil, nil)
            var request = [UInt8](repeating: 0, count: 4096)
            unsafe _ = read(connection, &request, request.count)
            unsafe _ = write(connection, bytes, bytes.utf8.count)
            close(connection)
            close(listener)
        }
        thread.start()
        return (UInt16(bigEndian: address.sin_port), thread)
    }

    @Test(arguments: ["garbage\r\n\r\n", "HTTP/1.1 \r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", ""])
    func `an answer that is not HTTP counts as lost`(_ bytes: String) throws {
        let (port, _) = try Self.answering(bytes)
        let client = try HTTPClient(HTTPClient.Configuration())
        client.send(HTTPRequest(method: "POST", url: "http://127.0.0.1:\(port)/", body: Array("body".utf8)), id: 1)
        let done = try Self.completion(of: client)
        guard case .lost = done.failure else {
            Issue.record("\(done)")
            return
        }
    }

    /// libcurl by itself sends again on a fresh connection where one that it kept breaks without an answer.
    @Test func `a request on a kept connection that breaks is not resent automatically`() throws {
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

    @Test func `a port that is in use is named`() throws {
        let server = try HTTPServer(address: "127.0.0.1", port: 0) { _ in .respond(ServerResponse(status: 200)) }
        let error = #expect(throws: HTTPError.self) {
            try HTTPServer(address: "127.0.0.1", port: server.port) { _ in .respond(ServerResponse(status: 200)) }
        }
        #expect(error?.description.contains("127.0.0.1:\(server.port)") ?? false)
        server.stop()
    }
}
