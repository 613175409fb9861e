internal import CLinux
internal import Core
internal import Glibc
internal import Settings
internal import Worker

/// Runs a command line and returns the command's exit code. No error is thrown beyond this type.
@main
nonisolated enum Main {
    static func main() { exit(run()) }

    private static func run() -> Int32 {
        // Block signals before any library starts a thread, so that a signal for the loop does not interrupt a
        // library's thread.
        Signals.block()
        let environment = Self.environment
        if environment["PLUGIN_STARTER_ENDS_WITH_PARENT"] == "1" { ProcessControl.endWithParent() }
        // The Swift runtime reads the arguments from /proc.
        guard !CommandLine.arguments.isEmpty else {
            Console.error("plugin-starter: the command line cannot be read: mount /proc")
            return 64
        }
        let arguments = Array(CommandLine.arguments.dropFirst())
        do throws(SettingsError) {
            switch try Settings.resolve(arguments, environment: environment, readFile: File.read) {
            case .help(let text):
                Console.print(text, terminator: "")
                return 0
            case .settings(let settings):
                for warning in settings.warnings { Console.complain(warning, json: settings.logsJSON) }
                return run(settings, environment)
            }
        } catch {
            // An error may have to be printed before the log format is known.
            let saysJSON =
                environment["PLUGIN_STARTER_LOG_FORMAT"] == "json" || arguments.contains("--log-format=json")
                || arguments.firstIndex(of: "--log-format").map { arguments.dropFirst($0 + 1).first == "json" } ?? false
            Console.complain(error.description, code: 64, json: arguments.first == "run" && saysJSON)
            return 64
        }
    }

    private static func run(_ settings: Settings, _ environment: [String: String]) -> Int32 {
        do throws(CommandFailure) {
            switch settings.command {
            case .run: return try RunCommand.run(settings, environment)
            case .demo: return try DemoCommand.run(settings)
            case .request: return try RequestCommand.run(settings)
            case .results: return try ResultsCommand.run(settings)
            case .explain: return try ExplainCommand.run(settings)
            case .redrive: return try RedriveCommand.run(settings)
            case .audit: return try AuditCommand.run(settings)
            case .plan: return try PlanCommand.run(settings)
            case .check: return try CheckCommand.run(settings, environment)
            case .errors: return ErrorsCommand.run(settings)
            case .schema: return try SchemaCommand.run(settings)
            case .sandbox: return try SandboxCommand.run(settings)
            case .broker: return try BrokerCommand.run(settings)
            case .completion: return try CompletionCommand.run(settings)
            case .man: return ManCommand.run()
            }
        } catch {
            Console.complain(error.message, code: error.exitCode, json: settings.logsJSON)
            return error.exitCode
        }
    }

    private static var environment: [String: String] {
        var found: [String: String] = [:]
        var entry = unsafe environ
        while let text = unsafe entry.pointee {
            let parts = unsafe String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
            unsafe entry += 1
        }
        return found
    }
}

/// Why a command ends, in a sentence for its user, and its exit code.
struct CommandFailure: Error {
    var exitCode: Int32
    var message: String

    init(_ exitCode: Int32, _ message: String) {
        self.exitCode = exitCode
        self.message = message
    }
}

/// Results go to standard output, everything else to standard error.
nonisolated enum Console {
    static func print(_ text: String, terminator: String = "\n") { write(1, text + terminator) }
    static func error(_ text: String, terminator: String = "\n") { write(2, text + terminator) }
    /// Prints a sentence on standard error; with `json`, in the form of the worker's log. `code`: the command's exit
    /// code.
    static func complain(_ text: String, code: Int32? = nil, json: Bool) {
        guard json else { return error("plugin-starter: \(text)") }
        var log = Log(level: .info, format: .json)
        let exit: [(LogKey, JSON)] = code.map { [(.code, .integer(Int64($0)))] } ?? []
        log.write(code == nil ? .warning : .error, code == nil ? "note" : "failed", [(.detail, .string(text))] + exit)
        log.finish()
    }
    static var errorIsTerminal: Bool { isatty(2) == 1 }
    /// The width of the terminal that standard output is; nil where it is none.
    static var width: Int? {
        let columns = Int(psterminal_columns(1))
        return columns > 0 ? columns : nil
    }
    /// Whether tables have colours: on a terminal, unless NO_COLOR is set (https://no-color.org) or it has none.
    static var hasColours: Bool {
        let isRefused = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
        let isDumb = unsafe getenv("TERM").map { unsafe String(cString: $0) == "dumb" } ?? false
        return isatty(1) == 1 && !isRefused && !isDumb
    }

    private static func write(_ descriptor: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        unsafe bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let count = unsafe Glibc.write(
                    descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
                if count < 0 && errno != EINTR { return }
                written += max(0, count)
            }
        }
    }
}

nonisolated enum File {
    /// Reads a whole file; `-` is standard input. Nil if it cannot be read, or is longer than 16 MiB.
    static func read(_ path: String) -> [UInt8]? { read(path, atMost: 16 << 20) }

    static func read(_ path: String, atMost limit: Int) -> [UInt8]? {
        let descriptor = path == "-" ? 0 : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { if descriptor != 0 { close(descriptor) } }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= limit {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            if count < 0 { return nil }
            if count == 0 { return bytes }
            bytes += block[..<count]
        }
        return nil
    }

    static func write(_ path: String, _ text: String) -> Bool {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        return unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }

    static func isThere(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// Writes a new file line by line. Replaces the old file once the new one is complete and on the disk.
    static func replace(_ path: String, _ produce: (_ line: ([UInt8]) -> Void) -> Void) -> Bool {
        let draft = path + ".new"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        var buffer: [UInt8] = []
        var isWritten = true
        func flush() {
            var rest = buffer[...]
            while isWritten && !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno != EINTR { isWritten = false }
                rest = rest.dropFirst(max(0, count))
            }
            buffer.removeAll(keepingCapacity: true)
        }
        produce { line in
            buffer += line + [UInt8(ascii: "\n")]
            if buffer.count >= 64 << 10 { flush() }
        }
        flush()
        isWritten = isWritten && fsync(descriptor) == 0
        close(descriptor)
        return unsafe isWritten && rename(draft, path) == 0
    }
}

extension Settings {
    /// Whether every line on standard error has to be JSON, because the worker's log format was set to it.
    nonisolated var logsJSON: Bool { self[SettingTable.logFormat] == "json" }
}
