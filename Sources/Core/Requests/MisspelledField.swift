/// Finds names that almost match a field. A sender that writes `expire_at` means `expires_at`, and would not
/// notice that the member was ignored.
enum MisspelledField {
    static let known = [
        "idempotency_key", "project_id", "enterprise_project_id", "plugin_code", "operate_all", "host_id_list",
        "expires_at", "priority", "correlation_id", "requested_by", "reason",
    ]

    /// The first member whose name is close to a missing field's, and the name of that field.
    static func find(in data: JSON) -> (name: String, meant: String)? {
        guard case .object(let members) = data else { return nil }
        for member in members where !known.contains(where: { ExactText($0) == ExactText(member.name) }) {
            let name = letters(member.name)
            for field in known where data[field] == nil && isNear(name, letters(field)) { return (member.name, field) }
        }
        return nil
    }

    /// The letters without case and without word separators, so that `expiresAt` matches `expires_at`. Cut to
    /// a length that no field reaches.
    private static func letters(_ name: String) -> [UInt8] {
        name.utf8.prefix(40).filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") }
            .map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
    }

    /// Whether the names are equal, or differ by one letter that is added, missing, replaced
    /// or swapped with its neighbour.
    private static func isNear(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard abs(a.count - b.count) <= 1 else { return false }
        let start = zip(a, b).prefix { $0 == $1 }.count
        let (x, y) = (Array(a[start...]), Array(b[start...]))
        if x.elementsEqual(y) || x.dropFirst().elementsEqual(y) || x.elementsEqual(y.dropFirst())
            || x.dropFirst().elementsEqual(y.dropFirst())
        {
            return true
        }
        return x.count == y.count && x.count >= 2 && x[0] == y[1] && x[1] == y[0]
            && x.dropFirst(2).elementsEqual(y.dropFirst(2))
    }
}
