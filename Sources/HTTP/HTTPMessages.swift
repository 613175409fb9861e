package import Core

/// A request to send. The URL is used as it stands: nothing in it is resolved or encoded again.
package struct HTTPRequest: Sendable {
    package var method: String
    package var url: String
    /// `Content-Length` and `Expect` are the client's, and `Host` where none is given.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// Nil is the client's.
    package var timeout: Duration?

    package init(method: String, url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// What came of a request.
package struct HTTPCompletion: Sendable {
    package var id: UInt64
    /// 0 where `failure` says why there is no answer.
    package var status = 0
    package var failure: Reply.Transport?
    package var headers: [(name: String, value: String)] = []
    package var body: [UInt8] = []
    package var latency: Duration = .zero

    package init(id: UInt64) { self.id = id }

    /// The last header of that name, which is given in lower case.
    package func header(_ name: String) -> String? { headers.last { $0.name == name }?.value }
}

package struct HTTPError: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
