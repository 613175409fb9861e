import Foundation
import Testing

@testable import Settings

/// The completion scripts, run by the shells themselves.
@Suite struct CompletionTests {
    /// Runs a program to its end. Returns what it printed on both outputs, and its exit code.
    static func run(_ program: String, _ arguments: [String]) throws -> (text: String, code: Int32) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (text, process.terminationStatus)
    }

    /// Writes a text to a file of its own for the time of the closure.
    static func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("plugin-starter-\(UUID().uuidString)")
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        return try body(file.path)
    }

    static func isThere(_ program: String) -> Bool { (try? run(program, ["--version"]))?.code == 0 }

    /// What bash offers for the last of these words. bash itself splits at the equals sign.
    static func offers(_ words: [String], in directory: String = "/") throws -> [String] {
        try withFile(Completion.script(.bash)) { script in
            let program = """
                set -u; source "$1"; cd "$2"; shift 2
                complete -p plugin-starter >&2 || exit 9
                COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                _plugin_starter; printf '%s\\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
                """
            let (text, code) = try run("bash", ["-c", program, "bash", script, directory, "plugin-starter"] + words)
            #expect(code == 0, "\(text)")
            return text.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("complete ") }
        }
    }

    @Test func `bash offers all commands`() throws {
        #expect(try Self.offers([""]) == Command.allCases.map(\.rawValue) + ["help", "--help"])
        #expect(try Self.offers(["re"]) == ["request", "results", "redrive"])
    }

    @Test(arguments: Command.allCases) func `bash offers each flag of a command and no other`(_ command: Command) throws
    {
        let flags = SettingTable.rows.filter { $0.commands.contains(command) }.map { "--\($0.name)" }
        #expect(try Self.offers([command.rawValue, "--"]) == flags + ["--help"])
    }

    @Test(arguments: [
        (["run", "--log-format", ""], ["text", "json"]), (["run", "--log-f"], ["--log-format"]),
        (["results", "--status", "f"], ["failed"]), (["results", "--status", "=", "re"], ["rejected"]),
        (["results", "--format", "="], ["table", "json", "ocsf"]), (["results", "--limit", ""], []),
        (["results", "--follow", "--su"], ["--summary"]), (["request", "--wait", "--json", "--pri"], ["--priority"]),
        (["completion", ""], ["bash", "zsh", "fish"]), (["man", ""], []), (["unknown", "--"], []),
        // A flag of another command is no flag.
        (["man", "--status", "f"], []),
    ]) func `bash offers the values of a flag`(_ words: [String], _ offers: [String]) throws {
        #expect(try Self.offers(words) == offers)
    }

    @Test(arguments: [
        ["run", "--policy", "a"], ["request", "a"], ["run", "--policy", "=", "a"], ["request", "--file", "a"],
    ])
    func `bash offers files, also with spaces in their names`(_ words: [String]) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("files-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        for name in ["a file", "b"] {
            try "".write(to: directory.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        #expect(try Self.offers(words, in: directory.path) == ["a file"])
    }

    @Test(arguments: Shell.allCases) func `each script names every command and flag`(_ shell: Shell) {
        let script = Completion.script(shell)
        for command in Command.allCases { #expect(script.contains(command.rawValue)) }
        for row in SettingTable.rows {
            #expect(script.contains(shell == .fish ? " -l \(row.name) " : "--\(row.name)"), "\(row.name)")
        }
    }

    @Test(.enabled(if: isThere("zsh"), "needs zsh (make test-deps)")) func `zsh reads its script`() throws {
        try Self.withFile(Completion.script(.zsh)) { script in
            let parsed = try Self.run("zsh", ["-n", script])
            #expect(parsed.code == 0 && parsed.text.isEmpty, "\(parsed.text)")
            let loaded = try Self.run(
                "zsh",
                [
                    "-fc", "autoload -U compinit; compinit -u -D; source $1; print $_comps[plugin-starter]", "zsh",
                    script,
                ])
            #expect(loaded.text == "_plugin_starter\n")
        }
    }

    @Test(.enabled(if: isThere("fish"), "needs fish (make test-deps)")) func `fish offers commands, flags and values`()
        throws
    {
        try Self.withFile(Completion.script(.fish)) { script in
            for (line, offers) in [
                ("plugin-starter re", ["redrive", "request", "results"]),
                ("plugin-starter results --sta", ["--status"]),
                ("plugin-starter results --status f", ["failed"]), ("plugin-starter completion z", ["zsh"]),
                ("plugin-starter run --statu", []),
            ] {
                let (text, code) = try Self.run(
                    "fish", ["--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line])
                #expect(code == 0)
                #expect(
                    text.split(separator: "\n").map { String($0.prefix { $0 != "\t" }) } == offers, "\(line): \(text)")
            }
        }
    }
}

@Suite struct ManPageTests {
    @Test(.enabled(if: CompletionTests.isThere("groff"), "needs groff (make test-deps)"))
    func `groff formats the manual page without a warning, with every command, flag and exit code`() throws {
        try CompletionTests.withFile(ManPage.text) { file in
            let warned = try CompletionTests.run("groff", ["-man", "-ww", "-z", file])
            #expect(warned.code == 0 && warned.text.isEmpty, "\(warned.text)")
            let (page, code) = try CompletionTests.run("groff", ["-man", "-Tascii", "-P-cbou", "-rLL=100n", file])
            #expect(code == 0)
            let lines = page.split(separator: "\n").map { String($0.drop { $0 == " " }) }
            for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "FLAGS", "EXIT STATUS", "EXAMPLES"] {
                #expect(lines.contains(heading))
            }
            for command in Command.allCases {
                #expect(lines.contains { $0 == command.rawValue || $0.hasPrefix("\(command.rawValue) ") })
            }
            for row in SettingTable.rows {
                #expect(lines.contains { $0 == "--\(row.name)" || $0.hasPrefix("--\(row.name) ") }, "\(row.name)")
            }
            for (code, meaning) in Help.exitCodes {
                #expect(lines.contains { $0.hasPrefix("\(code) ") && $0.hasSuffix(meaning) })
            }
        }
    }

    @Test func `no line of the page but a macro begins with a dot, and no hyphen is typographic`() {
        let macros = [".TH", ".nh", ".SH", ".B", ".I", ".TP", ".PP", ".br", ".nf", ".fi"]
        for line in ManPage.text.split(separator: "\n") {
            let word = String(line.prefix { $0 != " " })
            #expect(!word.hasPrefix("'") && (!word.hasPrefix(".") || macros.contains(word)), "\(line)")
            #expect(!line.contains(#/[^\\]-/#), "\(line)")
        }
    }
}
