/// The manual page, in roff with the `man` macros. Made from the settings table.
package enum ManPage {
    package static var text: String {
        // Without hyphenation, so that names can be copied.
        var out = ".TH PLUGIN\\-STARTER 1\n.nh\n.SH NAME\n"
        out += "plugin\\-starter \\- starts Huawei Cloud HSS plugins on hosts, as requested through Kafka\n"
        out += ".SH SYNOPSIS\n.B plugin\\-starter\n.I COMMAND\n[\\fIFLAGS\\fR] [\\fIARGUMENT\\fR]\n"
        out += ".SH DESCRIPTION\n"
        out += paragraph(
            "Consumes requests from a Kafka topic, deduplicates them by idempotency key, calls StartPlugin as few times as "
                + "it can, and publishes the outcome of each request to a results topic.")
        out += ".PP\n"
        out += paragraph(
            "A setting is read from its flag, else from the environment (PLUGIN_STARTER_ and the name in capitals, with _ "
                + "for -), else from the file of --config (YAML, with the names of the flags as keys), else it has its "
                + "default. A repeatable flag can be given more than once.")
        out += ".SH COMMANDS\n"
        for command in Command.allCases {
            let operand = command.operand.map { " [\($0)]" } ?? ""
            out += ".TP\n.B \(escaped(command.rawValue + operand))\n\(paragraph(command.summary))"
        }
        out += ".SH FLAGS\n"
        for row in SettingTable.rows { out += flag(row) }
        out += ".SH ENVIRONMENT\n"
        out += environment("PLUGIN_STARTER_NAME", "the setting NAME, see above")
        out += environment("KAFKA_BOOTSTRAP_SERVERS", "the brokers, if PLUGIN_STARTER_BOOTSTRAP_SERVERS is not set")
        out += environment("HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK", "access key and secret key of the worker")
        out += environment("HUAWEICLOUD_SDK_SECURITY_TOKEN", "security token of a temporary access key")
        out += environment(
            "HUAWEICLOUD_SDK_USERNAME, HUAWEICLOUD_SDK_PASSWORD, HUAWEICLOUD_SDK_DOMAIN",
            "a user in place of an access key; each credential can also be given as NAME_FILE, a file")
        out += environment("NO_COLOR", "tables have no colours if this is set")
        out += ".SH EXIT STATUS\n"
        for (code, meaning) in Help.exitCodes { out += ".TP\n.B \(code)\n\(paragraph(meaning))" }
        out += ".SH EXAMPLES\n.nf\n"
        for example in [
            "plugin-starter run --bootstrap-servers kafka:9092 --region cn-north-4",
            "plugin-starter request --project-id ID --plugin-code ndr --host HOST --wait",
            "plugin-starter request --file requests.ndjson --wait 10m",
            "plugin-starter results --follow --status failed",
            "plugin-starter results --since 24h --summary",
        ] { out += "\(escaped(example))\n" }
        return out + ".fi\n"
    }

    private static func flag(_ row: SettingRow) -> String {
        var text = row.help
        if row.isRepeatable { text += " (repeatable)" }
        let commands =
            row.commands.count == Command.allCases.count ? "all" : row.commands.map(\.rawValue).joined(separator: ", ")
        var facts = "Commands: \(commands)."
        if row.bareText != "true", let value = row.defaultText { facts += " Default: \(value)" }
        for (command, value) in row.commandDefaults.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            facts += " (\(command.rawValue): \(value))"
        }
        if !facts.hasSuffix(".") { facts += "." }
        return ".TP\n.B \(escaped(Help.flag(row)))\n\(paragraph(text)).br\n\(paragraph(facts))"
    }

    private static func environment(_ name: String, _ meaning: String) -> String {
        ".TP\n.B \(escaped(name))\n\(paragraph(meaning))"
    }

    /// One input line. A line that begins with a dot or an apostrophe would be a command of roff.
    private static func paragraph(_ text: String) -> String {
        let line = escaped(text)
        return (line.hasPrefix(".") || line.hasPrefix("'") ? "\\&" : "") + line + "\n"
    }

    /// In roff a backslash escapes, a plain hyphen may be printed as a typographic one, and an apostrophe as a quote.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\e").replacing("-", with: "\\-").replacing("'", with: "\\(aq")
    }
}
