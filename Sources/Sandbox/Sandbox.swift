internal import CLinux
package import Core
internal import Glibc
package import HTTP
internal import Synchronization

/// A stand-in for HSS and IAM on loopback. It verifies signatures, locks keys out, counts calls against a quota, starts
/// plugins on hosts, and fails on demand. `/_sandbox/` reports the calls it received and changes its behaviour.
package final class Sandbox {
    private let state: Box
    private let server: HTTPServer
    package let baseURL: String

    /// Shared with the server's thread.
    private final class Box: Sendable {
        let value: Mutex<SandboxState>
        init(_ state: SandboxState) { value = Mutex(state) }
    }

    package init(
        _ configuration: Configuration, clock: @escaping @Sendable () -> Timestamp = Sandbox.wallClock
    ) throws(HTTPError) {
        let state = Box(SandboxState(configuration))
        self.state = state
        server = try HTTPServer(address: configuration.address, port: configuration.port) { request in
            request.path.hasPrefix("/_sandbox/")
                ? .respond(Self.control(request, state)) : state.value.withLock { $0.answer(request, now: clock()) }
        }
        baseURL = server.url
    }

    package func stop() { server.stop() }

    package static let wallClock: @Sendable () -> Timestamp = {
        Timestamp(milliseconds: pstime_nanoseconds(CLOCK_REALTIME) / 1_000_000)
    }

    private static func control(_ request: ServerRequest, _ state: Box) -> ServerResponse {
        func text(_ status: Int, _ text: String) -> ServerResponse {
            ServerResponse(status: status, headers: [("Content-Type", "text/plain")], body: Array(text.utf8))
        }
        switch (request.method, request.path) {
        case ("GET", "/_sandbox/journal"):
            let body = state.value.withLock { $0.journal }.lines
            return ServerResponse(status: 200, headers: [("Content-Type", "application/x-ndjson")], body: body)
        case ("DELETE", "/_sandbox/journal"):
            state.value.withLock { $0.clearJournal() }
            return text(200, "ok\n")
        case ("GET", "/_sandbox/summary"):
            let body = state.value.withLock { $0.summary }.bytes
            return ServerResponse(status: 200, headers: [("Content-Type", "application/json")], body: body)
        case ("POST", "/_sandbox/faults"):
            var faults: [Fault] = []
            for line in String(decoding: request.body, as: UTF8.self).split(separator: "\n") {
                do throws(Fault.ParseError) { faults.append(try Fault(parsing: String(line))) } catch {
                    return text(400, error.description + "\n")
                }
            }
            let parsed = faults
            state.value.withLock { $0.set(faults: parsed) }
            return text(200, "ok\n")
        default: return text(404, "try GET journal, GET summary, DELETE journal or POST faults\n")
        }
    }
}
