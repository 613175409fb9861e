/// The shells that have a completion script.
package enum Shell: String, CaseIterable, Sendable {
    case bash, zsh, fish
}

/// Completion scripts, made from the settings table. They need nothing but the shell itself.
package enum Completion {
    package static func script(_ shell: Shell) -> String {
        switch shell {
        case .bash: bash
        case .zsh: zsh
        case .fish: fish
        }
    }

    /// What a shell offers for a value.
    private enum Values {
        case words([String])
        case files
        case nothing
    }

    private static func values(_ row: SettingRow) -> Values {
        if !row.choices.isEmpty { return .words(row.choices) }
        return row.placeholder == "FILE" ? .files : .nothing
    }

    private static func values(ofOperandOf command: Command) -> Values {
        switch command.operand {
        case nil, "KEY": .nothing
        case "FILE": .files
        case let words?: .words(words.split(separator: "|").map(String.init))
        }
    }

    private static func rows(_ command: Command) -> [SettingRow] {
        SettingTable.rows.filter { $0.commands.contains(command) }
    }

    private static let commands = Command.allCases.map(\.rawValue)

    // MARK: bash

    private static var bash: String {
        var out = """
            # Completion for bash. Load it with: source <(plugin-starter completion bash)
            _plugin_starter() {
                local word=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD-1]} flags="" operands="" words=""
                COMPREPLY=()
                # bash splits --flag=value at the equals sign.
                if [[ $word == "=" ]]; then
                    word=""
                elif [[ $flag == "=" && COMP_CWORD -ge 2 ]]; then
                    flag=${COMP_WORDS[COMP_CWORD-2]}
                fi
                if [[ COMP_CWORD -eq 1 ]]; then
                    COMPREPLY=($(compgen -W "\(commands.joined(separator: " ")) help --help" -- "$word"))
                    return
                fi
                case ${COMP_WORDS[1]} in

            """
        for command in Command.allCases {
            let flags = rows(command).map { "--\($0.name)" } + ["--help"]
            out += "    \(command.rawValue))\n        flags=\"\(flags.joined(separator: " "))\"\n"
            switch values(ofOperandOf: command) {
            case .words(let words): out += "        operands=\"\(words.joined(separator: " "))\"\n"
            case .files: out += "        operands=FILE\n"
            case .nothing: break
            }
            out += "        ;;\n"
        }
        out += "    esac\n    case \" $flags \" in *\" $flag \"*) ;; *) flag=\"\" ;; esac\n    case $flag in\n"
        var files: [String] = []
        var others: [String] = []
        for row in SettingTable.rows where row.bareText == nil {
            switch values(row) {
            case .words(let words): out += "    --\(row.name)) words=\"\(words.joined(separator: " "))\" ;;\n"
            case .files: files.append("--\(row.name)")
            case .nothing: others.append("--\(row.name)")
            }
        }
        out += "    \(files.joined(separator: "|"))) words=FILE ;;\n"
        out += "    \(others.joined(separator: "|"))) return ;;\n"
        return out + """
                *) if [[ $word == -* ]]; then words=$flags; else words=$operands; fi ;;
                esac
                if [[ $words == FILE ]]; then
                    compopt -o filenames 2>/dev/null
                    mapfile -t COMPREPLY < <(compgen -f -- "$word")
                else
                    COMPREPLY=($(compgen -W "$words" -- "$word"))
                fi
            }
            complete -F _plugin_starter plugin-starter

            """
    }

    // MARK: zsh

    private static var zsh: String {
        var out = """
            #compdef plugin-starter
            # Completion for zsh. Load it with: source <(plugin-starter completion zsh), after compinit.
            _plugin_starter() {
                local -a commands=(

            """
        for command in Command.allCases {
            out += "        \(quoted("\(command.rawValue):\(command.summary.replacing(":", with: "\\:"))"))\n"
        }
        out += """
                )
                if (( CURRENT == 2 )); then
                    _describe command commands
                    return
                fi
                local command=$words[2]
                shift words
                (( CURRENT-- ))
                case $command in

            """
        for command in Command.allCases {
            out += "    \(command.rawValue))\n        _arguments"
            for row in rows(command) { out += " \\\n            \(quoted(zshArgument(row)))" }
            out += " \\\n            '--help[show the flags]'"
            switch values(ofOperandOf: command) {
            case .words(let words): out += " \\\n            ':word:(\(words.joined(separator: " ")))'"
            case .files: out += " \\\n            ':file:_files'"
            case .nothing: break
            }
            out += "\n        ;;\n"
        }
        return out + """
                esac
            }
            if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
                _plugin_starter "$@"
            else
                compdef _plugin_starter plugin-starter
            fi

            """
    }

    /// `*` allows a flag again, `=` allows `--flag value` and `--flag=value`, and a double colon makes the value
    /// optional.
    private static func zshArgument(_ row: SettingRow) -> String {
        var help = row.help
        for character in ["\\", "[", "]", ":"] { help = help.replacing(character, with: "\\\(character)") }
        let takesValue = !row.placeholder.isEmpty
        var argument = "\(row.isRepeatable ? "*" : "")--\(row.name)\(takesValue ? "=" : "")[\(help)]"
        guard takesValue else { return argument }
        argument += row.bareText == nil ? ":value:" : "::value:"
        switch values(row) {
        case .words(let words): argument += "(\(words.joined(separator: " ")))"
        case .files: argument += "_files"
        case .nothing: argument += " "
        }
        return argument
    }

    // MARK: fish

    private static var fish: String {
        var out = """
            # Completion for fish. Load it with: plugin-starter completion fish | source
            complete -c plugin-starter -f

            """
        for command in Command.allCases {
            let seen = "-n '__fish_seen_subcommand_from \(command.rawValue)'"
            out += "complete -c plugin-starter -n __fish_use_subcommand -a \(command.rawValue) "
            out += "-d \(fishQuoted(command.summary))\n"
            for row in rows(command) {
                var line = "complete -c plugin-starter \(seen) -l \(row.name)"
                switch values(row) {
                case .words(let words): line += " -x -a \(fishQuoted(words.joined(separator: " ")))"
                case .files: line += " -r -F"
                case .nothing: line += row.bareText == nil ? " -x" : ""
                }
                out += "\(line) -d \(fishQuoted(row.help))\n"
            }
            switch values(ofOperandOf: command) {
            case .words(let words):
                out += "complete -c plugin-starter \(seen) -a \(fishQuoted(words.joined(separator: " ")))\n"
            case .files: out += "complete -c plugin-starter \(seen) -F\n"
            case .nothing: break
            }
        }
        return out
    }

    // MARK: Quoting

    /// A text as one word of bash and zsh.
    private static func quoted(_ text: String) -> String { "'\(text.replacing("'", with: "'\\''"))'" }

    /// In fish a backslash escapes inside single quotes.
    private static func fishQuoted(_ text: String) -> String {
        "'\(text.replacing("\\", with: "\\\\").replacing("'", with: "\\'"))'"
    }
}
