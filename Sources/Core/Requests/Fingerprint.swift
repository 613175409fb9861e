internal import Crypto

/// 128 bits of a SHA-256. This is enough that two different texts never collide in practice, and small
/// enough to keep a million of them.
package struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(of bytes: [UInt8]) {
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in Digest.sha256(bytes).prefix(16).enumerated() {
            if index < 8 { words.0 = words.0 << 8 | UInt64(byte) } else { words.1 = words.1 << 8 | UInt64(byte) }
        }
        self.init(high: words.0, low: words.1)
    }

    package var description: String {
        var digits: [UInt8] = []
        digits.reserveCapacity(32)
        for word in [high, low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                let nibble = UInt8(word >> UInt64(shift) & 15)
                digits.append(nibble < 10 ? 48 + nibble : 87 + nibble)
            }
        }
        return String(decoding: digits, as: UTF8.self)
    }
}

extension StartRequest {
    /// Identifies what the request does, without its requester and reason. It is a SHA-256 over the JSON array of
    /// project, enterprise project (or null), plugin, operate_all and the sorted hosts.
    package var fingerprint: Fingerprint {
        let hosts = hostIDs.count == 1 ? hostIDs : hostIDs.map(ExactText.init).sorted().map(\.text)
        return Fingerprint(
            of: JSON.array([
                .string(projectID), enterpriseProjectID.map(JSON.string) ?? .null, .string(pluginCode),
                .bool(operateAll), .array(hosts.map(JSON.string)),
            ]).bytes)
    }

    /// The key within its project. Equal keys of different projects are different keys.
    package static func scopedKey(_ project: String, _ key: String) -> Fingerprint {
        // The length marks where the project id ends, so that no character in the id can shift the boundary.
        Fingerprint(of: Array("\(project.utf8.count)/\(project)\(key)".utf8))
    }
}
