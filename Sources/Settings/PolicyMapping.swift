internal import Core

/// One mapping of the policy file. Its errors name the place.
struct PolicyMapping {
    private let members: [(key: String, keyPlace: YAML.Place, value: YAML)]
    /// What the mapping describes, for errors.
    private let kind: String
    private let file: String
    private let place: YAML.Place

    init(
        _ members: [(key: String, keyPlace: YAML.Place, value: YAML)], _ kind: String, _ file: String,
        at place: YAML.Place = .init(line: 1, column: 1)
    ) {
        (self.members, self.kind, self.file, self.place) = (members, kind, file, place)
    }

    /// The error of a key, at its value where there is one.
    func fail(_ key: String, _ value: String, _ rule: String, at other: YAML.Place? = nil) -> SettingsError {
        let place = other ?? self[key]?.place ?? self.place
        return SettingsError(setting: key, source: "\(file):\(place.line):\(place.column)", value: value, rule: rule)
    }

    func allowOnly(_ keys: [String]) throws(SettingsError) {
        guard let member = members.first(where: { !keys.contains($0.key) }) else { return }
        throw fail(
            member.key, member.key, "is not a key of a \(kind)" + suggestion(for: member.key, among: keys),
            at: member.keyPlace)
    }

    func value<Value>(_ key: String, _ type: ValueType<Value>) throws(SettingsError) -> Value? {
        guard let node = self[key] else { return nil }
        guard case .scalar(let text, _) = node else { throw fail(key, "...", "must be a plain value") }
        do throws(ValueError) { return try type.parse(text) } catch { throw fail(key, text, error.rule) }
    }

    func required<Value>(_ key: String, _ type: ValueType<Value>) throws(SettingsError) -> Value {
        guard let value = try value(key, type) else { throw fail(key, kind, "is required in each \(kind)") }
        return value
    }

    func patterns(_ key: String, mayBeEmpty: Bool = false) throws(SettingsError) -> NamePatterns? {
        try texts(key, mayBeEmpty: mayBeEmpty).map { NamePatterns($0.map(\.text)) }
    }

    /// Days of the week by their numbers; 0 is Sunday.
    func days(_ key: String) throws(SettingsError) -> Set<Int>? {
        let names = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
        guard let texts = try texts(key, mayBeEmpty: false) else { return nil }
        var days: Set<Int> = []
        for (text, place) in texts {
            guard let day = names.firstIndex(of: text) else {
                throw fail(key, text, "must be a list of: \(names.joined(separator: ", "))", at: place)
            }
            days.insert(day)
        }
        return days
    }

    func mappings(_ key: String, _ kind: String) throws(SettingsError) -> [PolicyMapping] {
        guard let node = self[key] else { return [] }
        guard case .list(let elements, _) = node else { throw fail(key, "...", "must be a list") }
        return try elements.map { (element) throws(SettingsError) in
            guard case .map(let members, let place) = element else {
                throw fail(key, "...", "must be a list of mappings", at: element.place)
            }
            return PolicyMapping(members, kind, file, at: place)
        }
    }

    private func texts(
        _ key: String, mayBeEmpty: Bool
    ) throws(SettingsError) -> [(text: String, place: YAML.Place)]? {
        guard let node = self[key] else { return nil }
        guard case .list(let elements, _) = node, mayBeEmpty || !elements.isEmpty else {
            throw fail(key, "...", "must be a list of names\(mayBeEmpty ? "" : ", with one at least")")
        }
        return try elements.map { (element) throws(SettingsError) in
            guard case .scalar(let text, let place) = element, !text.isEmpty else {
                throw fail(key, "...", "must be a list of names", at: element.place)
            }
            return (text, place)
        }
    }

    private subscript(key: String) -> YAML? { members.first { $0.key == key }?.value }
}
