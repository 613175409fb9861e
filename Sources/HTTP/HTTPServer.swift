internal import CMicrohttpd
internal import Core
internal import Glibc

/// A request as received.
package struct ServerRequest: Sendable {
    package var method: String
    /// Path and query as sent, not decoded.
    package var target: String
    package var headers: [(name: String, value: String)] = []
    package var body: [UInt8] = []

    /// The part of the target before `?`.
    package var path: String { String(target.prefix { $0 != "?" }) }
    package func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
}

package struct ServerResponse: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

package enum ServerAction: Sendable {
    case respond(ServerResponse)
    case respondLater(ServerResponse, after: Duration)
    /// Makes the answer when the time is over, on the server's thread.
    case respondWith(@Sendable () -> ServerResponse, after: Duration)
    /// Sends no answer until the client disconnects or the server stops.
    case hang
    /// Closes the connection without an answer.
    case reset
}

/// A small HTTP server on libmicrohttpd's own thread. Its handler runs on that thread and must not block.
@safe package final class HTTPServer {
    package struct Limits: Sendable {
        package var connections: UInt32 = 1024
        /// The maximum number of open connections. Beyond it, each new connection closes the oldest one, so that slow
        /// clients cannot block others. Nil means no limit.
        package var keptConnections: Int?
        package var idleSeconds: UInt32 = 120
        package var maximumBodyBytes = 16 << 20

        package init() {}
    }

    private var daemon: OpaquePointer?
    private let context: ServerContext
    package private(set) var port: UInt16 = 0
    private let host: String
    package var url: String { "http://\(host):\(port)" }

    /// `address` is IPv4, or IPv6 without brackets. Port 0 takes any free port.
    package init(
        address: String, port: UInt16, limits: Limits = Limits(),
        handler: @escaping @Sendable (ServerRequest) -> ServerAction
    ) throws(HTTPError) {
        context = ServerContext(handler: handler, limits: limits)
        var (four, six) = (sockaddr_in(), sockaddr_in6())
        four.sin_family = sa_family_t(AF_INET)
        four.sin_port = port.bigEndian
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        let isFour = unsafe inet_pton(AF_INET, address, &four.sin_addr) == 1
        guard unsafe isFour || inet_pton(AF_INET6, address, &six.sin6_addr) == 1 else {
            throw HTTPError("\(address) is not an IP address")
        }
        host = isFour ? address : "[\(address)]"
        errno = 0
        unsafe daemon =
            isFour
            ? unsafe Self.start(port: port, address: &four, flags: 0, limits: limits, context: context)
            : unsafe Self.start(
                port: port, address: &six, flags: MHD_USE_IPv6.rawValue, limits: limits, context: context)
        guard let daemon = unsafe daemon else {
            let reason = errno == 0 ? "the server did not start" : unsafe String(cString: strerror(errno))
            throw HTTPError("cannot listen on \(host):\(port): \(reason)")
        }
        self.port = unsafe psmhd_port(daemon)
    }

    deinit { stop() }

    package func stop() {
        guard let running = unsafe daemon else { return }
        unsafe daemon = nil
        context.releaseAll()
        unsafe MHD_stop_daemon(running)
    }

    private static func start(
        port: UInt16, address: UnsafeMutableRawPointer, flags: UInt32, limits: Limits, context: ServerContext
    ) -> OpaquePointer? {
        let pointer = unsafe Unmanaged.passUnretained(context).toOpaque()
        func option(_ option: MHD_OPTION, _ value: Int, _ pointer: UnsafeMutableRawPointer? = nil) -> MHD_OptionItem {
            unsafe MHD_OptionItem(option: option, value: value, ptr_value: pointer)
        }
        let completed: MHD_RequestCompletedCallback = unsafe requestCompleted
        let changed: MHD_NotifyConnectionCallback = unsafe connectionChanged
        let target:
            @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<CChar>?, OpaquePointer?) -> UnsafeMutableRawPointer? =
                unsafe requestBegins
        var options = unsafe [
            option(.SOCK_ADDR, 0, address),
            option(.CONNECTION_LIMIT, Int(limits.connections)),
            option(.CONNECTION_TIMEOUT, Int(limits.idleSeconds)),
            option(.NOTIFY_CONNECTION, unsafeBitCast(changed, to: Int.self), pointer),
            option(.NOTIFY_COMPLETED, unsafeBitCast(completed, to: Int.self), pointer),
            option(.URI_LOG_CALLBACK, unsafeBitCast(target, to: Int.self), pointer),
            option(.END, 0),
        ]
        // Use poll, because epoll stalls when a multiple of 128 connections are ready at once (0.9.75).
        let flags = flags | UInt32(MHD_USE_POLL_INTERNAL_THREAD.rawValue | MHD_ALLOW_SUSPEND_RESUME.rawValue)
        return unsafe psmhd_start(flags, port, handleRequest, pointer, &options)
    }
}
