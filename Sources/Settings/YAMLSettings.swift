/// Reads the configuration file. Its keys are the names of the flags. Keys of other commands are allowed, so that one
/// file serves all commands.
enum YAMLSettings {
    static func read(_ bytes: [UInt8], file: String, rows: [SettingRow]) throws(SettingsError) -> [String: [Given]] {
        var given: [String: [Given]] = [:]
        for (key, place, value) in try members(bytes, file: file) {
            func fail(_ place: YAML.Place, _ rule: String) -> SettingsError {
                SettingsError(
                    setting: key, source: "\(file):\(place.line):\(place.column)", value: text(value), rule: rule)
            }
            guard let row = rows.first(where: { $0.name == key }) else {
                throw SettingsError(
                    setting: key, source: "\(file):\(place.line):\(place.column)", value: key,
                    rule: "is not a setting" + suggestion(for: key, among: rows.map(\.name)))
            }
            func one(_ node: YAML) throws(SettingsError) -> Given {
                guard case .scalar(let text, let place) = node else { throw fail(node.place, "must be a plain value") }
                return Given(text, "\(file):\(place.line):\(place.column)")
            }
            switch value {
            case .scalar: given[key] = [try one(value)]
            case .list(let elements, let place):
                guard row.isRepeatable else { throw fail(place, "must be one value, not a list") }
                given[key] = try elements.map(one)
            case .map(let members, let place):
                guard row.name == "kafka-property" else { throw fail(place, "must be one value, not a mapping") }
                given[key] = try members.map { (member) throws(SettingsError) in
                    let value = try one(member.value)
                    return Given("\(member.key)=\(value.text)", value.source)
                }
            }
        }
        return given
    }

    static func members(
        _ bytes: [UInt8], file: String
    ) throws(SettingsError) -> [(key: String, keyPlace: YAML.Place, value: YAML)] {
        let root: YAML?
        do throws(YAML.Fault) { root = try YAML.parse(bytes) } catch {
            throw SettingsError(
                setting: "file", source: "\(file):\(error.place.line):\(error.place.column)", value: file,
                rule: error.rule)
        }
        switch root {
        case nil: return []
        case .map(let members, _)?:
            if let nameless = members.first(where: { $0.key.isEmpty }) {
                throw SettingsError(
                    setting: "file", source: "\(file):\(nameless.keyPlace.line):\(nameless.keyPlace.column)",
                    value: file,
                    rule: "must have a name before each value")
            }
            return members
        case .scalar("", _)?: return []
        case let other?:
            throw SettingsError(
                setting: "file", source: "\(file):\(other.place.line):\(other.place.column)", value: file,
                rule: "must be a mapping of settings")
        }
    }

    private static func text(_ node: YAML) -> String {
        if case .scalar(let text, _) = node { text } else { "..." }
    }
}
