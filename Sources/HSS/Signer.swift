internal import Core
internal import Crypto

/// SDK-HMAC-SHA256, as Huawei Cloud's API signing guide defines it ("Signature algorithm"). The key signs a canonical
/// form of the method, the path, the query, chosen headers and the body's hash.
package enum Signer {
    package struct Message {
        package var method: String
        /// Each segment as text, without the slashes between them.
        package var path: [String]
        package var query: [(name: String, value: String)]
        /// The headers to sign: all that the request carries, except those that a proxy may change.
        package var headers: [(name: String, value: String)]
        package var body: [UInt8]

        package init(
            method: String, path: [String], query: [(name: String, value: String)] = [],
            headers: [(name: String, value: String)], body: [UInt8] = []
        ) {
            self.method = method
            self.path = path
            self.query = query
            self.headers = headers
            self.body = body
        }
    }

    /// Keeps `A-Z a-z 0-9 - _ . ~`. Every other byte becomes `%XX`.
    package static func percentEncode(_ text: String) -> String {
        // Most texts are ids, which need no encoding.
        guard !text.utf8.allSatisfy(isUnreserved) else { return text }
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            if isUnreserved(byte) {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// The query sorted by name, then value, in code order. It can also be sent unchanged.
    package static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        // Sort by the text and not by its encoding, like the vendor's Python SDK. For ASCII ids there is no difference.
        let sorted =
            query.count < 2
            ? query
            : query.sorted {
                $0.name == $1.name
                    ? $0.value.utf8.lexicographicallyPrecedes($1.value.utf8)
                    : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
            }
        return sorted.map { "\(percentEncode($0.name))=\(percentEncode($0.value))" }.joined(separator: "&")
    }

    package static func canonicalRequest(_ message: Message) -> (text: String, signedHeaders: String) {
        var path = ""
        for segment in message.path { path += "/" + percentEncode(segment) }
        let headers = message.headers.filter { !$0.name.utf8.contains(UInt8(ascii: "_")) }
            .map { (name: $0.name.lowercased(), value: trim($0.value)) }.sorted { $0.name < $1.name }
        let signed = headers.map(\.name).joined(separator: ";")
        let lines = headers.map { "\($0.name):\($0.value)\n" }.joined()
        let hash = headers.first { $0.name == "x-sdk-content-sha256" }?.value ?? Digest.hex(Digest.sha256(message.body))
        return (
            "\(message.method)\n\(path)/\n\(canonicalQuery(message.query))\n\(lines)\n\(signed)\n\(hash)", signed
        )
    }

    package static func stringToSign(_ canonicalRequest: String, date: String) -> String {
        "SDK-HMAC-SHA256\n\(date)\n\(Digest.hex(Digest.sha256(Array(canonicalRequest.utf8))))"
    }

    /// The value of `Authorization`. `date` is the signed header `X-Sdk-Date`.
    package static func authorization(_ message: Message, date: String, accessKey: String, secretKey: String) -> String
    {
        let (canonical, signed) = canonicalRequest(message)
        let signature = Digest.hex(
            Digest.hmacSHA256(key: Array(secretKey.utf8), Array(stringToSign(canonical, date: date).utf8)))
        return "SDK-HMAC-SHA256 Access=\(accessKey), SignedHeaders=\(signed), Signature=\(signature)"
    }

    /// Returns most values unchanged, because they have nothing to trim.
    private static func trim(_ text: String) -> String {
        func isBlank(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 }
        var bytes = text.utf8[...]
        guard isBlank(bytes.first) || isBlank(bytes.last) else { return text }
        while isBlank(bytes.first) { bytes.removeFirst() }
        while isBlank(bytes.last) { bytes.removeLast() }
        return String(Substring(bytes))
    }
}
