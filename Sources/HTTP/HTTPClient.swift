internal import CCurl
internal import CLinux
package import Core
internal import Glibc

/// Sends many requests at once on one thread: libcurl's multi interface over its own epoll. A loop watches the epoll's
/// single descriptor beside its others. Nothing blocks, because libcurl resolves names on a separate thread.
///
/// Redirects are never followed. The size of answers is limited. Proxies come from the environment (`https_proxy`).
@safe package final class HTTPClient {
    package struct Configuration: Sendable {
        /// How many connections are kept open. It should be the maximum number of requests in flight.
        package var maximumConnections = 16
        package var connectTimeout: Duration = .seconds(5)
        package var totalTimeout: Duration = .seconds(30)
        package var maximumResponseBytes: Int
        /// Sent as `User-Agent`. Proxies may change this header, so it is not among the request's headers, which may be
        /// signed.
        package var userAgent: String?

        package init(maximumResponseBytes: Int = 1 << 20) { self.maximumResponseBytes = maximumResponseBytes }
    }

    private let multi: UnsafeMutableRawPointer
    /// Becomes readable when `turn` has work to do.
    package let descriptor: Int32
    private let configuration: Configuration
    private var idle: [HTTPTransfer] = []
    private var busy: [UInt64: HTTPTransfer] = [:]
    /// When libcurl must be called even if no socket is ready.
    package private(set) var deadline: Uptime?
    /// Completions of requests for which libcurl had no handle, and of cancelled requests.
    private var stillborn: [HTTPCompletion] = []

    package init(_ configuration: Configuration) throws(HTTPError) {
        guard curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK, let multi = unsafe curl_multi_init() else {
            throw HTTPError("libcurl could not be initialized")
        }
        unsafe self.multi = unsafe multi
        self.configuration = configuration
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe _ = pscurl_multi_set_socket(multi, watchSocket)
        unsafe _ = pscurl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, context)
        unsafe _ = pscurl_multi_set_timer(multi, setTimer)
        unsafe _ = pscurl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, context)
        unsafe _ = pscurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, configuration.maximumConnections)
    }

    deinit {
        cancelAll()
        idle.removeAll()
        unsafe _ = curl_multi_cleanup(multi)
        close(descriptor)
    }

    package var inFlight: Int { busy.count }

    package func send(_ request: HTTPRequest, id: UInt64) {
        let transfer: HTTPTransfer
        do throws(HTTPError) {
            if let known = idle.popLast() { transfer = known } else { transfer = try HTTPTransfer(configuration) }
        } catch {
            var completion = HTTPCompletion(id: id)
            completion.failure = .notSent(error.description)
            stillborn.append(completion)
            return
        }
        transfer.prepare(request, id: id)
        busy[id] = transfer
        unsafe _ = curl_multi_add_handle(multi, transfer.easy)
    }

    /// Cancels all requests in flight. None of them completes.
    private func cancelAll() {
        for transfer in busy.values { unsafe _ = curl_multi_remove_handle(multi, transfer.easy) }
        busy.removeAll()
    }

    /// Cancels the requests of which nothing was sent yet. They complete as not sent.
    package func cancelUnsent(_ reason: String) {
        for (id, transfer) in busy where !transfer.hasBegun {
            unsafe _ = curl_multi_remove_handle(multi, transfer.easy)
            busy[id] = nil
            idle.append(transfer)
            var completion = HTTPCompletion(id: id)
            completion.failure = .notSent(reason)
            stillborn.append(completion)
        }
    }

    /// Serves the ready sockets without waiting, and returns the completed requests.
    package func turn(now: Uptime) -> [HTTPCompletion] {
        var done = stillborn
        stillborn.removeAll()
        var running: Int32 = 0
        var events = unsafe [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            let count = unsafe Int(epoll_wait(descriptor, &events, 64, 0))
            guard count > 0 else { break }
            for index in 0..<count {
                let event = unsafe events[index]
                let flags = unsafe event.events
                var mask: Int32 = 0
                if flags & (EPOLLIN.rawValue | EPOLLHUP.rawValue) != 0 { mask |= CURL_CSELECT_IN }
                if flags & EPOLLOUT.rawValue != 0 { mask |= CURL_CSELECT_OUT }
                if flags & EPOLLERR.rawValue != 0 { mask |= CURL_CSELECT_ERR }
                unsafe _ = curl_multi_socket_action(multi, event.data.fd, mask, &running)
            }
            if count < 64 { break }
        }
        if let due = deadline, due <= now {
            deadline = nil
            unsafe _ = curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running)
        }
        takeCompleted(into: &done)
        return done
    }

    private func takeCompleted(into done: inout [HTTPCompletion]) {
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(multi, &left) {
            let code = unsafe message.pointee.data.result
            guard unsafe message.pointee.msg == CURLMSG_DONE, let easy = unsafe message.pointee.easy_handle else {
                continue
            }
            var context: UnsafeMutableRawPointer?
            unsafe _ = pscurl_get_pointer(easy, CURLINFO_PRIVATE, &context)
            unsafe _ = curl_multi_remove_handle(multi, easy)
            guard let context = unsafe context else { continue }
            let transfer = unsafe Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
            guard let owned = busy.removeValue(forKey: transfer.id) else { continue }
            done.append(owned.completion(code))
            idle.append(owned)
        }
    }

    fileprivate func setDeadline(_ milliseconds: Int) {
        deadline = milliseconds < 0 ? nil : Self.uptime() + .milliseconds(milliseconds)
    }

    private static func uptime() -> Uptime { Uptime(.nanoseconds(pstime_nanoseconds(CLOCK_MONOTONIC))) }
}

private func setTimer(_ multi: UnsafeMutableRawPointer?, _ milliseconds: Int, _ context: UnsafeMutableRawPointer?)
    -> Int32
{
    guard let context = unsafe context else { return 0 }
    unsafe Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue().setDeadline(milliseconds)
    return 0
}

private func watchSocket(
    _ easy: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ what: Int32, _ context: UnsafeMutableRawPointer?,
    _ known: UnsafeMutableRawPointer?
) -> Int32 {
    guard let context = unsafe context else { return 0 }
    let descriptor = unsafe Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue().descriptor
    if what == CURL_POLL_REMOVE {
        _ = epoll_ctl(descriptor, EPOLL_CTL_DEL, socket, nil)
        return 0
    }
    var event = unsafe epoll_event()
    unsafe event.events =
        (what & CURL_POLL_IN != 0 ? EPOLLIN.rawValue : 0) | (what & CURL_POLL_OUT != 0 ? EPOLLOUT.rawValue : 0)
    unsafe event.data.fd = socket
    // A socket's number may by now belong to another connection. Modify the entry, or add it if it is absent.
    if unsafe epoll_ctl(descriptor, EPOLL_CTL_MOD, socket, &event) != 0 {
        unsafe _ = epoll_ctl(descriptor, EPOLL_CTL_ADD, socket, &event)
    }
    return 0
}
