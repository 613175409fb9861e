/// A command's settings, from flags, environment, file and defaults.
package struct Settings: Sendable {
    package let command: Command
    /// Arguments on the command line that belong to no flag.
    package let operands: [String]
    /// One line for the user about each given name that has no meaning.
    package let warnings: [String]
    private let values: [String: [any Sendable]]

    package enum Outcome {
        case settings(Settings)
        /// The help text that the user requested.
        case help(String)
    }

    /// The value, or nil if nothing sets it and it has no default.
    package subscript<Value>(_ setting: Setting<Value>) -> Value? { values[setting.row.name]?.last as? Value }

    /// All values of a repeatable setting, in order.
    package func all<Value>(_ setting: Setting<Value>) -> [Value] {
        (values[setting.row.name] ?? []).compactMap { $0 as? Value }
    }

    /// The value of a setting that has a default.
    package func value<Value>(_ setting: Setting<Value>) -> Value {
        guard let value = self[setting] else { preconditionFailure("\(setting.row.name) has no default") }
        return value
    }

    /// Reads all settings. Throws the first error, with its place and the rule that it breaks.
    package static func resolve(
        _ arguments: [String], environment: [String: String], readFile: (String) -> [UInt8]?
    ) throws(SettingsError) -> Outcome {
        guard let name = arguments.first else { return .help(Help.overview) }
        if ["--help", "-h", "help"].contains(name) { return .help(Help.overview) }
        guard let command = Command(rawValue: name) else {
            throw SettingsError(
                setting: "command", source: "command line", value: nameOnly(name),
                rule: "is not a command" + suggestion(for: name, among: Command.allCases.map(\.rawValue)))
        }
        let rows = SettingTable.rows.filter { $0.commands.contains(command) }
        let line = try CommandLineReader.read(Array(arguments.dropFirst()), rows, command)
        if line.wantsHelp { return .help(Help.command(command)) }
        var file: [String: [Given]] = [:]
        if let path = line.given["config"]?.last?.text ?? environment["PLUGIN_STARTER_CONFIG"] {
            guard let bytes = readFile(path) else {
                throw SettingsError(setting: "config", source: "--config", value: path, rule: "cannot be read")
            }
            file = try YAMLSettings.read(bytes, file: path, rows: SettingTable.rows)
        }
        var values: [String: [any Sendable]] = [:]
        for row in rows {
            let given =
                line.given[row.name] ?? fromEnvironment(row, environment) ?? file[row.name]
                ?? row.defaultText(for: command).map { [Given($0, "default")] } ?? []
            values[row.name] = try given.map { (given) throws(SettingsError) in
                do throws(ValueError) { return try row.check(given.text) } catch {
                    throw SettingsError(
                        setting: row.name, source: given.source, value: row.mayTell(given.text) ? given.text : "***",
                        rule: error.rule)
                }
            }
        }
        return .settings(
            Settings(
                command: command, operands: line.operands, warnings: unknownNames(environment), values: values))
    }

    private static func fromEnvironment(_ row: SettingRow, _ environment: [String: String]) -> [Given]? {
        let names = [row.environmentName] + (row.name == "bootstrap-servers" ? ["KAFKA_BOOTSTRAP_SERVERS"] : [])
        for name in names {
            guard let text = environment[name], !text.isEmpty else { continue }
            guard row.isRepeatable else { return [Given(text, name)] }
            return elements(text, ofProperties: row.name == "kafka-property").map { Given($0, name) }
        }
        return nil
    }

    /// Splits a text of several lines at the line ends, and a single line at the commas. A property's value can contain
    /// commas, so properties are split only at a comma that a name and `=` follow.
    private static func elements(_ text: String, ofProperties: Bool) -> [String] {
        if text.contains(where: \.isNewline) { return text.split(whereSeparator: \.isNewline).map(String.init) }
        return text.split(separator: ",").reduce(into: []) { found, piece in
            let name = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if ofProperties, !found.isEmpty, name.count < 2 || !isPropertyName(name[0]) {
                found[found.count - 1] += ",\(piece)"
            } else {
                found.append(String(piece))
            }
        }
    }

    /// Environment variables with our prefix that belong to no setting. Excludes the variables that Kubernetes adds for
    /// a service of our name.
    private static func unknownNames(_ environment: [String: String]) -> [String] {
        let prefix = "PLUGIN_STARTER_"
        let known = SettingTable.rows.map(\.environmentName)
        return environment.keys.sorted().filter {
            $0.hasPrefix(prefix) && !known.contains($0) && $0 != "PLUGIN_STARTER_ENDS_WITH_PARENT"
                && !$0.hasPrefix(prefix + "SERVICE_") && !$0.hasPrefix(prefix + "PORT")
        }.map { "\($0) (environment): is not a setting\(suggestion(for: $0, among: known))" }
    }
}

/// A text that was given for a setting, and its source.
struct Given: Sendable {
    var text: String
    var source: String

    init(_ text: String, _ source: String) {
        self.text = text
        self.source = source
    }
}

/// An error in a setting that was given.
package struct SettingsError: Error, Equatable, CustomStringConvertible {
    package var setting: String
    package var source: String
    package var value: String
    package var rule: String

    package init(setting: String, source: String, value: String, rule: String) {
        self.setting = setting
        self.source = source
        self.value = value
        self.rule = rule
    }

    package var description: String { "\(setting) (\(source)): \"\(value)\" \(rule)" }
}

/// The leading part of a text that can be a name, so that a secret in the wrong place is not printed.
func nameOnly(_ text: String) -> String {
    String(text.prefix(24).prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
}

/// `; did you mean ...?` if a name is close, otherwise an empty text.
func suggestion(for name: String, among names: [String]) -> String {
    let nearest = names.map { (name: $0, distance: distance(name, $0)) }.min { $0.distance < $1.distance }
    guard let nearest, nearest.distance <= max(2, name.count / 3) else { return "" }
    return "; did you mean \(nearest.name)?"
}

/// The edit distance between two texts (Levenshtein).
private func distance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a.prefix(64).utf8), Array(b.utf8))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let cost = min(diagonal + (x == y ? 0 : 1), row[j] + 1, row[j + 1] + 1)
            diagonal = row[j + 1]
            row[j + 1] = cost
        }
    }
    return row[b.count]
}
