/// The scheme and authority of HSS or IAM, such as `https://hss.cn-north-4.myhuaweicloud.com`.
package struct Endpoint: Equatable, Sendable {
    /// Without a trailing slash.
    package let url: String
    /// The authority, which is signed and sent as the `Host` header. It is in lower case and without the scheme's
    /// default port, as proxies and gateways write it.
    package let host: String

    /// Whether what is sent there can be read on its way. Nothing leaves this machine on its way to a loopback address.
    package var isExposed: Bool {
        guard url.hasPrefix("http://") else { return false }
        let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
        if name == "localhost" || name == "[::1]" { return false }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return !(parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil })
    }

    /// A base URL without path, query or user.
    package init?(url: String) {
        let text = url.hasSuffix("/") ? String(url.dropLast()) : url
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return nil }
        let authority = text.dropFirst(scheme.utf8.count)
        guard authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"/?#@\\%".utf8.contains($0) }) else {
            return nil
        }
        // In an IPv6 literal the colons are inside brackets.
        var end = authority.firstIndex(of: ":") ?? authority.endIndex
        if authority.hasPrefix("[") {
            guard let bracket = authority.firstIndex(of: "]") else { return nil }
            end = authority.index(after: bracket)
        }
        var host = authority[..<end].lowercased()
        guard !host.isEmpty else { return nil }
        if end < authority.endIndex {
            let digits = authority[end...].dropFirst()
            guard authority[end] == ":", digits.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains),
                let port = UInt16(digits), port > 0
            else { return nil }
            if port != (scheme == "https://" ? 443 : 80) { host += ":\(port)" }
        }
        self.url = scheme + host
        self.host = host
    }
}
