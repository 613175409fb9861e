internal import Settings

nonisolated enum DemoCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 { 1 }
}
