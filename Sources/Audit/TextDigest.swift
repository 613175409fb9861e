internal import Core
internal import Crypto

/// 64 bits of a SHA-256, kept in place of a text that is only compared. An accidental corruption does not produce the
/// same digest.
struct TextDigest: Hashable, Sendable {
    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    init(_ bytes: [UInt8]) { bits = Digest.sha256(bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }

    init(_ text: String) { self.init(Array(text.utf8)) }

    init(_ json: JSON) { self.init(json.bytes) }
}

/// A key within its project, as the contract scopes it, in 128 bits.
struct ScopedKey: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    init(project: String, key: String) {
        let digest = Digest.sha256(JSON.array([.string(project), .string(key)]).bytes)
        high = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = digest[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension TextDigest {
    /// The digest of what a request does: project, enterprise project, plugin, operate_all and the set of hosts. The
    /// audit computes it anew and does not take it from the request, so that it detects a mistake in the worker's
    /// fingerprint.
    init(project: String, enterpriseProject: String?, plugin: String, operateAll: Bool, hosts: [String]) {
        var sorted = hosts.map { Array($0.utf8) }
        sorted.sort { $0.lexicographicallyPrecedes($1) }
        var bytes: [UInt8] = []
        for part in [Array(project.utf8), Array((enterpriseProject ?? "").utf8), Array(plugin.utf8)] + sorted {
            bytes += Array("\(part.count):".utf8) + part
        }
        self.init(bytes + [operateAll ? 1 : 0])
    }
}
