package import Core

/// A request to send. The URL is used unchanged, and no part of it is resolved or encoded again.
package struct HTTPRequest: Sendable {
    package var method: String
    package var url: String
    /// The client sets `Content-Length` and `Expect`, and also `Host` if none is given.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Nil means the client's timeout.
    package var timeout: Duration?

    package init(method: String, url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// The outcome of a request.
package struct HTTPCompletion: Sendable {
    package var id: UInt64
    /// 0 if there is no answer; `failure` then holds the reason.
    package var status = 0
    package var failure: Reply.Transport?
    package var headers: [(name: String, value: String)] = []
    package var body: [UInt8] = []
    package var latency: Duration = .zero

    package init(id: UInt64) { self.id = id }

    /// The last header with that name. Pass the name in lower case.
    package func header(_ name: String) -> String? { headers.last { $0.name == name }?.value }
}

package struct HTTPError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
