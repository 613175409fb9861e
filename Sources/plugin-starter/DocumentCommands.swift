internal import Settings

/// `completion`: prints the completion script of a shell.
nonisolated enum CompletionCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        guard let shell = settings.operands.first.flatMap(Shell.init) else {
            let names = Shell.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(64, "the argument must be one of: \(names)")
        }
        Console.print(Completion.script(shell), terminator: "")
        return 0
    }
}

/// `man`: prints the manual page.
nonisolated enum ManCommand {
    static func run() -> Int32 {
        Console.print(ManPage.text, terminator: "")
        return 0
    }
}
