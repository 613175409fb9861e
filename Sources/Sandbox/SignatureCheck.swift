internal import Core
internal import Crypto
internal import HTTP

/// Checks SDK-HMAC-SHA256 from the request as it arrived, as the gateway would. It shares no code with the client's
/// signing, so that a mistake in one does not hide in the other.
struct SignatureCheck {
    enum Outcome: Equatable {
        case accepted
        case refused(String)
    }

    let accessKey: String
    let secretKey: Secret
    let maximumClockSkew: Duration

    func check(_ request: ServerRequest, now: Timestamp) -> Outcome {
        guard let authorization = request.header("authorization"), authorization.hasPrefix("SDK-HMAC-SHA256 ") else {
            return .refused("Incorrect IAM authentication information: no authorization")
        }
        var parts: [String: String] = [:]
        for part in authorization.dropFirst(16).split(separator: ",") {
            let pair = part.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { parts[String(pair[0])] = String(pair[1]) }
        }
        guard let access = parts["Access"], let names = parts["SignedHeaders"], let signature = parts["Signature"]
        else {
            return .refused("Incorrect IAM authentication information: malformed authorization")
        }
        guard access == accessKey else {
            return .refused("Incorrect IAM authentication information: unknown access key")
        }
        guard let dateText = request.header("x-sdk-date"), let date = Timestamp(basic: dateText) else {
            return .refused("Incorrect IAM authentication information: no X-Sdk-Date")
        }
        let skew = now - date
        guard skew <= maximumClockSkew, skew >= .zero - maximumClockSkew else {
            return .refused("Incorrect IAM authentication information: calc ak sk signature fail:signature expired")
        }
        let signed = names.split(separator: ";").map(String.init)
        guard signed.contains("x-sdk-date") else {
            return .refused("Incorrect IAM authentication information: X-Sdk-Date is not signed")
        }
        let expected = self.signature(request, signed: signed, date: dateText)
        guard Digest.equal(Array(expected.utf8), Array(signature.utf8)) else {
            return .refused("Incorrect IAM authentication information: verify aksk signature fail")
        }
        return .accepted
    }

    private func signature(_ request: ServerRequest, signed: [String], date: String) -> String {
        let pieces = request.target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var path = pieces[0].split(separator: "/", omittingEmptySubsequences: false)
            .map { Self.encode(Self.decode($0)) }.joined(separator: "/")
        if !path.hasSuffix("/") { path += "/" }
        var query: [[[UInt8]]] = []
        if pieces.count > 1 && !pieces[1].isEmpty {
            for parameter in pieces[1].split(separator: "&") {
                let pair = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                query.append([Self.decode(pair[0]), pair.count > 1 ? Self.decode(pair[1]) : []])
            }
        }
        query.sort { a, b in
            a[0] == b[0] ? a[1].lexicographicallyPrecedes(b[1]) : a[0].lexicographicallyPrecedes(b[0])
        }
        let parameters = query.map { $0.map(Self.encode).joined(separator: "=") }
        var text = request.method + "\n" + path + "\n" + parameters.joined(separator: "&")
        text += "\n"
        for name in signed {
            var value = request.header(name) ?? ""
            while value.hasPrefix(" ") { value.removeFirst() }
            while value.hasSuffix(" ") { value.removeLast() }
            text += name + ":" + value + "\n"
        }
        text += "\n" + signed.joined(separator: ";") + "\n"
        text += request.header("x-sdk-content-sha256") ?? Digest.hex(Digest.sha256(request.body))
        let toSign = "SDK-HMAC-SHA256\n" + date + "\n" + Digest.hex(Digest.sha256(Array(text.utf8)))
        return Digest.hex(Digest.hmacSHA256(key: Array(secretKey.reveal().utf8), Array(toSign.utf8)))
    }

    /// Decodes escapes such as `%41` into the bytes that they stand for. Other text stays unchanged.
    static func decode(_ text: Substring) -> [UInt8] {
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                out.append(value)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return out
    }

    private static let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~".utf8)

    private static func encode(_ bytes: [UInt8]) -> String {
        var out = ""
        for byte in bytes {
            if plain.contains(byte) {
                out.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                out += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return out
    }
}
