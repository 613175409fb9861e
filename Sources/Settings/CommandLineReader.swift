/// Flags (`--name value`, `--name=value`) and operands.
enum CommandLineReader {
    struct Line {
        var given: [String: [Given]] = [:]
        var operands: [String] = []
        var wantsHelp = false
    }

    static func read(_ arguments: [String], _ rows: [SettingRow], _ command: Command) throws(SettingsError) -> Line {
        var line = Line()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" {
                line.wantsHelp = true
                continue
            }
            guard argument.hasPrefix("--"), argument != "--" else {
                guard command.operand != nil, line.operands.isEmpty, !argument.hasPrefix("-") || argument == "-" else {
                    throw SettingsError(
                        setting: "argument", source: "command line",
                        value: "number \(arguments.count - rest.count)",
                        rule: command.operand == nil
                            ? "is not expected: \(command.rawValue) takes flags only" : "is not expected")
                }
                line.operands.append(argument)
                continue
            }
            let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts.first ?? "")
            guard let row = rows.first(where: { $0.name == name }) else {
                throw SettingsError(
                    setting: "--\(nameOnly(name))", source: "command line", value: "--\(nameOnly(name))",
                    rule: "is not a flag of \(command.rawValue)"
                        + suggestion(for: "--\(nameOnly(name))", among: rows.map { "--\($0.name)" }))
            }
            let text: String
            if parts.count == 2 {
                text = String(parts[1])
            } else if let bare = row.bareText {
                // The next argument is the value if it parses as one. A setting without a placeholder takes no value.
                if !row.placeholder.isEmpty, let next = rest.first, !next.hasPrefix("-"), (try? row.check(next)) != nil
                {
                    text = next
                    rest.removeFirst()
                } else {
                    text = bare
                }
            } else {
                guard let next = rest.popFirst() else {
                    throw SettingsError(
                        setting: "--\(name)", source: "command line", value: "",
                        rule: "needs a value: \(row.placeholder)")
                }
                text = next
            }
            if row.isRepeatable {
                line.given[name, default: []].append(Given(text, "--\(name)"))
            } else {
                line.given[name] = [Given(text, "--\(name)")]
            }
        }
        return line
    }
}
