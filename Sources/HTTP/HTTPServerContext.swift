internal import CLinux
internal import CMicrohttpd
internal import Core
internal import Glibc
internal import Synchronization

/// The state that the server's thread and the thread for late answers share.
@safe final class ServerContext: Sendable {
    private let handler: @Sendable (ServerRequest) -> ServerAction
    let maximumBodyBytes: Int
    private let keptConnections: Int?
    /// The sockets of the open connections, the oldest first.
    private let sockets = Mutex<[Int32]>([])
    private let late = Mutex(Late())

    /// Suspended connections, with the time when each is resumed. Nil means never.
    private struct Late {
        var connections: [(at: Uptime?, connection: Connection)] = []
        var isStopped = false
        var thread: pthread_t?
    }

    /// A connection's pointer that crosses between the two threads. libmicrohttpd allows resuming from any thread. Each
    /// connection is resumed once, because it is first removed from the list.
    @safe struct Connection: @unchecked Sendable {
        let pointer: OpaquePointer?
    }

    init(handler: @escaping @Sendable (ServerRequest) -> ServerAction, limits: HTTPServer.Limits) {
        self.handler = handler
        maximumBodyBytes = limits.maximumBodyBytes
        keptConnections = limits.keptConnections
    }

    /// Runs on the server's thread, which also closes sockets, so none of these numbers belongs to another connection
    /// by now.
    func opened(_ socket: Int32) {
        guard let keptConnections else { return }
        sockets.withLock { sockets in
            sockets.append(socket)
            if sockets.count > keptConnections { _ = shutdown(sockets.removeFirst(), Int32(SHUT_RDWR)) }
        }
    }

    func closed(_ socket: Int32) { sockets.withLock { $0.removeAll { $0 == socket } } }

    func handle(_ request: ServerRequest) -> ServerAction { handler(request) }

    /// Suspends the connection for `time`. Nil means until the server stops.
    func suspend(_ connection: OpaquePointer?, for time: Duration?) {
        unsafe MHD_suspend_connection(connection)
        let at = time.map { Self.uptime() + $0 }
        let entry = unsafe Connection(pointer: connection)
        late.withLock { late in
            if late.isStopped {
                unsafe MHD_resume_connection(entry.pointer)
                return
            }
            late.connections.append((at, entry))
            if late.thread == nil && at != nil { startThread(&late) }
        }
    }

    private func startThread(_ late: inout Late) {
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        if unsafe pthread_create(&thread, nil, resumeLate, context) == 0 { late.thread = thread }
    }

    /// Resumes the connections that are due. Returns false when the server has stopped.
    fileprivate func resumeDue() -> Bool {
        let now = Self.uptime()
        return late.withLock { late in
            late.connections.removeAll { entry in
                guard let at = entry.at, at <= now else { return false }
                unsafe MHD_resume_connection(entry.connection.pointer)
                return true
            }
            return !late.isStopped
        }
    }

    func releaseAll() {
        let thread = late.withLock { late in
            late.isStopped = true
            for entry in late.connections { unsafe MHD_resume_connection(entry.connection.pointer) }
            late.connections.removeAll()
            return late.thread
        }
        if let thread { _ = pthread_join(thread, nil) }
    }

    static func uptime() -> Uptime { Uptime(.nanoseconds(pstime_nanoseconds(CLOCK_MONOTONIC))) }
}

private func resumeLate(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context = unsafe context else { return nil }
    let server = unsafe Unmanaged<ServerContext>.fromOpaque(context).takeRetainedValue()
    // Checking every millisecond is accurate enough for a late answer, and costs less than one timer for each.
    while server.resumeDue() { usleep(1000) }
    return nil
}

/// One request while it arrives. libmicrohttpd keeps the pointer and returns it at the end.
private final class Exchange {
    var request: ServerRequest
    var hasBegun = false
    var isTooLarge = false
    /// Set if the next call sends the answer.
    var held: ServerAction?

    init(target: String) { request = ServerRequest(method: "", target: target) }
}

/// Called when a connection was accepted or is about to be closed.
func connectionChanged(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ code: MHD_ConnectionNotificationCode
) {
    guard let context = unsafe context else { return }
    let server = unsafe Unmanaged<ServerContext>.fromOpaque(context).takeUnretainedValue()
    let socket = unsafe psmhd_socket(connection)
    if code == .CONNECTION_NOTIFY_STARTED { server.opened(socket) } else { server.closed(socket) }
}

/// The first call for a request. It receives the target as sent.
func requestBegins(
    _ context: UnsafeMutableRawPointer?, _ target: UnsafePointer<CChar>?, _ connection: OpaquePointer?
) -> UnsafeMutableRawPointer? {
    let text = unsafe target.map { unsafe String(cString: $0) } ?? ""
    return unsafe Unmanaged.passRetained(Exchange(target: text)).toOpaque()
}

/// The last call for a request, even if the connection broke.
func requestCompleted(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ code: MHD_RequestTerminationCode
) {
    guard let slot = unsafe slot, let pointer = unsafe slot.pointee else { return }
    unsafe slot.pointee = nil
    unsafe Unmanaged<Exchange>.fromOpaque(pointer).release()
}

/// Called several times for each request: at its beginning, for each piece of its body, at its end, and after a resume.
func handleRequest(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ url: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?,
    _ size: UnsafeMutablePointer<Int>?, _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context = unsafe context, let size = unsafe size, let pointer = unsafe slot?.pointee else { return .NO }
    let server = unsafe Unmanaged<ServerContext>.fromOpaque(context).takeUnretainedValue()
    let exchange = unsafe Unmanaged<Exchange>.fromOpaque(pointer).takeUnretainedValue()
    if !exchange.hasBegun {
        exchange.hasBegun = true
        exchange.request.method = unsafe method.map { unsafe String(cString: $0) } ?? ""
        return .YES
    }
    let count = unsafe size.pointee
    if count > 0 {
        if exchange.request.body.count + count > server.maximumBodyBytes {
            exchange.isTooLarge = true
        } else {
            unsafe exchange.request.body.append(contentsOf: UnsafeRawBufferPointer(start: data, count: count))
        }
        unsafe size.pointee = 0
        return .YES
    }
    if let held = exchange.held {
        // The connection was resumed. A hanging request is resumed only when the server stops.
        if case .respondLater(let response, _) = held { return unsafe queue(response, on: connection) }
        if case .respondWith(let make, _) = held { return unsafe queue(make(), on: connection) }
        return .NO
    }
    if exchange.isTooLarge { return unsafe queue(ServerResponse(status: 413), on: connection) }
    unsafe _ = MHD_get_connection_values(connection, .HEADER_KIND, collectHeader, pointer)
    let action = server.handle(exchange.request)
    switch action {
    case .respond(let response): return unsafe queue(response, on: connection)
    case .respondLater(_, let time), .respondWith(_, let time):
        exchange.held = action
        unsafe server.suspend(connection, for: time)
        return .YES
    case .hang:
        exchange.held = action
        unsafe server.suspend(connection, for: nil)
        return .YES
    case .reset: return .NO
    }
}

private func collectHeader(
    _ pointer: UnsafeMutableRawPointer?, _ kind: MHD_ValueKind, _ name: UnsafePointer<CChar>?,
    _ value: UnsafePointer<CChar>?
) -> MHD_Result {
    guard let pointer = unsafe pointer, let name = unsafe name else { return .NO }
    let exchange = unsafe Unmanaged<Exchange>.fromOpaque(pointer).takeUnretainedValue()
    unsafe exchange.request.headers.append(
        (String(cString: name), value.map { unsafe String(cString: $0) } ?? ""))
    return .YES
}

private func queue(_ response: ServerResponse, on connection: OpaquePointer?) -> MHD_Result {
    let made = unsafe response.body.withUnsafeBytes { bytes in
        unsafe MHD_create_response_from_buffer(
            bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
    }
    guard let made = unsafe made else { return .NO }
    defer { unsafe MHD_destroy_response(made) }
    for header in response.headers { unsafe _ = MHD_add_response_header(made, header.name, header.value) }
    return unsafe MHD_queue_response(connection, UInt32(response.status), made)
}
