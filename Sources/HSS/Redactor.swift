internal import Core

/// Removes the secrets that were sent from the texts that come back, because gateways are known to repeat what they
/// refuse.
package struct Redactor: Sendable {
    /// Each secret in plain, percent-encoded and JSON-escaped form, the newest last.
    private var forms: [[UInt8]] = []
    /// The newest forms are kept, because answers to requests sent before a change may still arrive. Older secrets are
    /// forgotten.
    private static let maximumForms = 36
    /// Redacting shorter secrets would damage ordinary words and codes.
    private static let shortest = 4

    package init() {}

    package mutating func add(_ secret: String) {
        guard secret.utf8.count >= Self.shortest else { return }
        let escaped = JSON.string(secret).bytes.dropFirst().dropLast()
        for form in [Array(secret.utf8), Array(Signer.percentEncode(secret).utf8), Array(escaped)] {
            forms.removeAll { $0 == form }
            forms.append(form)
        }
        forms.removeFirst(max(0, forms.count - Self.maximumForms))
    }

    package func clean(_ text: String) -> String {
        var bytes = Array(text.utf8)
        var isChanged = false
        // Longest first, because one form may be part of another.
        for form in forms.sorted(by: { $0.count > $1.count }) {
            var out: [UInt8] = []
            var (copied, index) = (0, 0)
            while index + form.count <= bytes.count {
                if bytes[index] == form[0], bytes[index..<(index + form.count)].elementsEqual(form) {
                    out += bytes[copied..<index] + "***".utf8
                    index += form.count
                    copied = index
                } else {
                    index += 1
                }
            }
            guard copied > 0 else { continue }
            bytes = out + bytes[copied...]
            isChanged = true
        }
        return isChanged ? String(decoding: bytes, as: UTF8.self) : text
    }
}
