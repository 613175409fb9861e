internal import CCurl
internal import Core

/// One easy handle with the data that it sends and receives. It is reused for the next request, with its connection.
@safe final class HTTPTransfer {
    let easy: UnsafeMutableRawPointer
    var id: UInt64 = 0
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private let maximumBytes: Int
    private let timeout: Duration
    /// The part of the body that is still to be sent.
    private var outgoing: ArraySlice<UInt8> = []
    private var body: [UInt8] = []
    private var head: [UInt8] = []
    private var isTooLarge = false
    private var url = ""
    /// Answer headers beyond this size are not kept.
    private static let maximumHeadBytes = 32 << 10

    init(_ configuration: HTTPClient.Configuration) throws(HTTPError) {
        guard let easy = unsafe curl_easy_init() else { throw HTTPError("libcurl could not create a handle") }
        unsafe self.easy = unsafe easy
        maximumBytes = configuration.maximumResponseBytes
        timeout = configuration.totalTimeout
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe _ = pscurl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        // Without this option libcurl waits for its resolver thread whenever a request ends before its name is
        // resolved. The loop would then block for as long as the name servers do not answer (CURLOPT_QUICK_EXIT(3),
        // 7.87).
        unsafe _ = pscurl_set_long(easy, CURLOPT_QUICK_EXIT, 1)
        unsafe _ = pscurl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        unsafe _ = pscurl_set_long(easy, CURLOPT_PATH_AS_IS, 1)
        unsafe _ = pscurl_set_long(easy, CURLOPT_TCP_NODELAY, 1)
        unsafe _ = "http,https".withCString { unsafe pscurl_set_pointer(easy, CURLOPT_PROTOCOLS_STR, $0) }
        unsafe _ = pscurl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(configuration.connectTimeout.milliseconds))
        if let userAgent = configuration.userAgent {
            unsafe _ = userAgent.withCString { unsafe pscurl_set_pointer(easy, CURLOPT_USERAGENT, $0) }
        }
        // Send the body through a read callback without a way to rewind it. This prevents libcurl from sending a
        // request twice. libcurl would otherwise resend by itself if a kept connection breaks without an answer,
        // although the server may have carried out the lost call.
        unsafe _ = pscurl_set_write(easy, CURLOPT_READFUNCTION, sendBody)
        unsafe _ = pscurl_set_pointer(easy, CURLOPT_READDATA, context)
        unsafe _ = pscurl_set_write(easy, CURLOPT_WRITEFUNCTION, receiveBody)
        unsafe _ = pscurl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        unsafe _ = pscurl_set_write(easy, CURLOPT_HEADERFUNCTION, receiveHeader)
        unsafe _ = pscurl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        unsafe _ = pscurl_set_pointer(easy, CURLOPT_PRIVATE, context)
    }

    deinit {
        unsafe curl_slist_free_all(headerList)
        unsafe curl_easy_cleanup(easy)
    }

    func prepare(_ request: HTTPRequest, id: UInt64) {
        self.id = id
        url = request.url
        body.removeAll(keepingCapacity: true)
        head.removeAll(keepingCapacity: true)
        isTooLarge = false
        unsafe curl_slist_free_all(headerList)
        unsafe headerList = nil
        // An empty Expect header stops libcurl from asking for a 100 response first.
        unsafe headerList = curl_slist_append(nil, "Expect:")
        for header in request.headers {
            unsafe headerList = curl_slist_append(headerList, "\(header.name): \(header.value)")
        }
        unsafe _ = pscurl_set_pointer(easy, CURLOPT_HTTPHEADER, headerList)
        unsafe _ = pscurl_set_long(easy, CURLOPT_TIMEOUT_MS, Int((request.timeout ?? timeout).milliseconds))
        unsafe _ = request.url.withCString { unsafe pscurl_set_pointer(easy, CURLOPT_URL, $0) }
        if request.method == "GET" {
            unsafe _ = pscurl_set_long(easy, CURLOPT_HTTPGET, 1)
        } else {
            unsafe _ = pscurl_set_long(easy, CURLOPT_POST, 1)
            unsafe _ = pscurl_set_long(easy, CURLOPT_POSTFIELDSIZE, request.body.count)
            outgoing = request.body[...]
        }
    }

    fileprivate func send(into room: UnsafeMutableRawBufferPointer) -> Int {
        let part = outgoing.prefix(room.count)
        unsafe room.copyBytes(from: part)
        outgoing = outgoing.dropFirst(part.count)
        return part.count
    }

    fileprivate func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard body.count + bytes.count <= maximumBytes else {
            isTooLarge = true
            return 0
        }
        unsafe body.append(contentsOf: bytes)
        return bytes.count
    }

    fileprivate func receiveHead(_ bytes: UnsafeRawBufferPointer) -> Int {
        if unsafe bytes.starts(with: "HTTP/".utf8) { head.removeAll(keepingCapacity: true) }
        if head.count + bytes.count <= Self.maximumHeadBytes { unsafe head.append(contentsOf: bytes) }
        return bytes.count
    }

    /// Whether a connection was made, so that something may have been sent.
    var hasBegun: Bool {
        var pretransfer = 0
        unsafe _ = pscurl_get_long(easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer)
        return pretransfer > 0
    }

    func completion(_ code: CURLcode) -> HTTPCompletion {
        var result = HTTPCompletion(id: id)
        var microseconds = 0
        unsafe _ = pscurl_get_long(easy, CURLINFO_TOTAL_TIME_T, &microseconds)
        result.latency = .microseconds(microseconds)
        guard code == CURLE_OK else {
            result.failure = failure(code)
            return result
        }
        unsafe _ = pscurl_get_long(easy, CURLINFO_RESPONSE_CODE, &result.status)
        result.headers = Self.headers(head)
        result.body = body
        return result
    }

    private func failure(_ code: CURLcode) -> Reply.Transport {
        let place = Self.place(url)
        if code == CURLE_SEND_FAIL_REWIND { return .lost("\(place): the connection broke without an answer") }
        if isTooLarge { return .tooLarge("\(place): the answer is larger than \(maximumBytes) bytes") }
        let text = unsafe "\(place): \(String(cString: curl_easy_strerror(code)))"
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_SSL_CONNECT_ERROR,
            CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CIPHER,
            CURLE_URL_MALFORMAT:
            return .notSent(text)
        default:
            // The time until sending could begin. It is zero if no connection was made. An answer that is not HTTP
            // gives CURLE_UNSUPPORTED_PROTOCOL or CURLE_WEIRD_SERVER_REPLY, after the request was sent.
            var pretransfer = 0
            unsafe _ = pscurl_get_long(easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer)
            return pretransfer == 0 ? .notSent(text) : .lost(text)
        }
    }

    /// `host:port`, without the user information that may precede it in a URL.
    static func place(_ url: String) -> String {
        let parts = url.split(separator: "://", maxSplits: 1)
        guard parts.count == 2 else { return "no URL" }
        let authority = parts[1].prefix { !"/?#".contains($0) }
        let place = authority[(authority.lastIndex(of: "@").map(authority.index(after:)) ?? authority.startIndex)...]
        let hasPort = place.lastIndex(of: ":").map { place[$0...].allSatisfy { $0 != "]" } } ?? false
        return hasPort ? String(place) : "\(place):\(parts[0] == "https" ? 443 : 80)"
    }

    static func headers(_ head: [UInt8]) -> [(name: String, value: String)] {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
        var found: [(name: String, value: String)] = []
        for line in head.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            var (start, end) = (colon + 1, line.endIndex)
            while start < end, isBlank(line[start]) { start += 1 }
            while start < end, isBlank(line[end - 1]) { end -= 1 }
            let name = line[..<colon].map { (65...90).contains($0) ? $0 + 32 : $0 }
            found.append((String(decoding: name, as: UTF8.self), String(decoding: line[start..<end], as: UTF8.self)))
        }
        return found
    }
}

/// libcurl calls this function and the next two from within `curl_multi_socket_action`, on the loop's own thread.
private func sendBody(
    _ start: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context = unsafe context else { return 0 }
    let transfer = unsafe Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    return unsafe transfer.send(into: UnsafeMutableRawBufferPointer(start: start, count: size * count))
}

private func receiveBody(
    _ start: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context = unsafe context else { return 0 }
    let transfer = unsafe Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    return unsafe transfer.receive(UnsafeRawBufferPointer(start: start, count: size * count))
}

private func receiveHeader(
    _ start: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context = unsafe context else { return 0 }
    let transfer = unsafe Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    return unsafe transfer.receiveHead(UnsafeRawBufferPointer(start: start, count: size * count))
}
