/// Help texts and the table of docs/settings.md, both made from the settings table.
package enum Help {
    package static var overview: String {
        var out = "plugin-starter starts Huawei Cloud HSS plugins on hosts, as requested through Kafka.\n\n"
        out += "Usage: plugin-starter COMMAND [FLAGS]\n\nCommands:\n"
        for command in Command.allCases { out += "  \(pad(command.rawValue, 10)) \(command.summary)\n" }
        out += "\nRun 'plugin-starter COMMAND --help' for its flags.\n"
        out +=
            "A setting is read from its flag, else PLUGIN_STARTER_NAME, else --config FILE (YAML), else its default.\n"
        out += "\nExit codes:\n"
        for (code, meaning) in exitCodes { out += "  \(pad("\(code)", 3)) \(meaning)\n" }
        return out
    }

    static let exitCodes: [(code: Int, meaning: String)] = [
        (0, "done"), (1, "the thing asked for did not succeed"), (64, "wrong usage or settings"),
        (69, "a needed service cannot be reached"), (70, "a bug"), (75, "try again"), (77, "not permitted"),
    ]

    package static func command(_ command: Command) -> String {
        let rows = SettingTable.rows.filter { $0.commands.contains(command) }
        var out = "Usage: plugin-starter \(command.rawValue) [FLAGS]\(command.operand.map { " [\($0)]" } ?? "")\n\n"
        out += "\(command.rawValue): \(command.summary)\n\nFlags:\n"
        let width = rows.map { flag($0).count }.max() ?? 0
        for row in rows {
            var text = row.help
            if row.isRepeatable { text += " (repeatable)" }
            if row.bareText != "true", let value = row.defaultText(for: command) { text += " [\(value)]" }
            out += "  \(pad(flag(row), width))  \(text)\n"
        }
        if command == .check {
            out += "\nEach line is ok, a warning or an error, with what was found, what is wanted and the remedy.\n"
            out += "Exit codes: 0 no error; 1 an error; 64, 69 or 77 if neither a broker nor HSS could be asked.\n"
            out +=
                "\nNothing is written and nothing is started. HSS gets one read: with --project-id, or a project in\n"
            out += "the policy, it is signed and lists the plugins. So a wrong key is refused once. Six refusals in a\n"
            out += "row lock a key for five minutes, and a running worker uses up to three of them: correct the key\n"
            out += "before the next check.\n"
        }
        if [.run, .check].contains(command) {
            out += "\nCredentials: HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK (and HUAWEICLOUD_SDK_SECURITY_TOKEN), or\n"
            out +=
                "HUAWEICLOUD_SDK_USERNAME, HUAWEICLOUD_SDK_PASSWORD, HUAWEICLOUD_SDK_DOMAIN; each also as NAME_FILE, a\n"
            out += "file that is read again when it changes. Proxies: https_proxy, no_proxy.\n"
        }
        return out
    }

    /// The table of docs/settings.md.
    package static var markdownTable: String {
        var out = "| setting | default | commands | what it is |\n|---|---|---|---|\n"
        for row in SettingTable.rows {
            var value = row.defaultText.map { "`\($0)`" } ?? ""
            for (command, text) in row.commandDefaults.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                value += " (\(command.rawValue): `\(text)`)"
            }
            let commands =
                row.commands.count == Command.allCases.count
                ? "all" : row.commands.map(\.rawValue).joined(separator: ", ")
            let name = flag(row).replacing("|", with: "\\|")
            out += "| `\(name)` | \(value) | \(commands) | \(row.help.replacing("|", with: "\\|"))"
            out += "\(row.isRepeatable ? " (repeatable)" : "") |\n"
        }
        return out
    }

    static func flag(_ row: SettingRow) -> String {
        if row.placeholder.isEmpty { return "--\(row.name)" }
        return row.bareText == nil ? "--\(row.name) \(row.placeholder)" : "--\(row.name) [\(row.placeholder)]"
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
