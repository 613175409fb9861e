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
        let words = Digest.sha256Start(bytes)
        self.init(high: words.0, low: words.1)
    }

    package var description: String {
        var digits: [UInt8] = []
        digits.reserveCapacity(32)
        append(to: &digits)
        return String(decoding: digits, as: UTF8.self)
    }

    /// Appends 32 lower-case hexadecimal digits.
    func append(to out: inout [UInt8]) {
        for word in [high, low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                let nibble = UInt8(truncatingIfNeeded: word >> UInt64(shift) & 15)
                out.append(nibble < 10 ? 48 + nibble : 87 + nibble)
            }
        }
    }
}

extension Fingerprint {
    /// Identifies what a request does, without its requester and reason. It is a SHA-256 over the JSON array of
    /// project, enterprise project (or null), plugin, operate_all and the sorted hosts.
    init(
        ofActionIn project: String, _ enterpriseProject: String?, _ plugin: String, operateAll: Bool, _ hosts: [String]
    ) {
        let hosts = hosts.count < 2 ? hosts : hosts.map(ExactText.init).sorted().map(\.text)
        self.init(
            of: JSON.array([
                .string(project), enterpriseProject.map(JSON.string) ?? .null, .string(plugin), .bool(operateAll),
                .array(hosts.map(JSON.string)),
            ]).bytes)
    }

    /// The key within its project. Equal keys of different projects are different keys.
    package init(scoping key: String, to project: String) {
        // The length marks where the project id ends, so that no character in the id can shift the boundary.
        self.init(of: Array("\(project.utf8.count)/\(project)\(key)".utf8))
    }
}
