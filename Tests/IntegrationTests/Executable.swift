import Foundation
import Testing

/// A running program. Its output goes to files, and tests wait for its end. It is killed when the test releases it.
final class Executable {
    let process = Process()
    private let directory: URL
    let name: String

    /// The program under test, as it was built.
    static let binary: URL = {
        if let path = ProcessInfo.processInfo.environment["PLUGIN_STARTER"] { return URL(fileURLWithPath: path) }
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return root.appendingPathComponent(".build/debug/plugin-starter")
    }()

    static func scratch(_ name: String) throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "plugin-starter-\(name)-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    init(_ program: String, _ arguments: [String], environment: [String: String] = [:], input: URL? = nil) throws {
        name = program
        directory = try Self.scratch(URL(fileURLWithPath: program).lastPathComponent)
        process.executableURL = URL(fileURLWithPath: program.hasPrefix("/") ? program : "/usr/bin/env")
        process.arguments = (program.hasPrefix("/") ? [] : [program]) + arguments
        var variables = ProcessInfo.processInfo.environment
        for name in variables.keys where name.hasPrefix("PLUGIN_STARTER") || name.hasPrefix("HUAWEICLOUD") {
            variables[name] = nil
        }
        process.environment = variables.merging(environment) { $1 }
        for name in ["out", "err"] {
            _ = FileManager.default.createFile(atPath: directory.appendingPathComponent(name).path, contents: nil)
        }
        process.standardOutput = try FileHandle(forWritingTo: directory.appendingPathComponent("out"))
        process.standardError = try FileHandle(forWritingTo: directory.appendingPathComponent("err"))
        process.standardInput = try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        try process.run()
    }

    /// Runs the program under test with a command.
    static func starter(_ arguments: [String], environment: [String: String] = [:]) throws -> Executable {
        try Executable(binary.path, arguments, environment: environment)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    var output: String { text("out") }
    var errors: String { text("err") }

    private func text(_ name: String) -> String {
        String(decoding: (try? Data(contentsOf: directory.appendingPathComponent(name))) ?? Data(), as: UTF8.self)
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for the program to end. Returns the exit code, or 128 + signal.
    @discardableResult
    func wait(seconds: Double = 60) throws -> Int32 {
        try eventually("\(name) ends", seconds: seconds) { !process.isRunning }
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }

    /// Waits for a line on standard error that contains this text.
    func says(_ text: String, seconds: Double = 30) throws {
        try eventually("\(name) says \"\(text)\"", seconds: seconds, otherwise: { self.errors }) {
            self.errors.contains(text) || !self.process.isRunning
        }
        if !errors.contains(text) { throw Unmet("\(name) ended without saying \"\(text)\": \(errors.suffix(2000))") }
    }

    /// The program's first line on standard output.
    func firstLine(seconds: Double = 20) throws -> String {
        try eventually("\(name) prints a line", seconds: seconds, otherwise: { self.errors }) { output.contains("\n") }
        return String(output.prefix { $0 != "\n" })
    }
}

struct Unmet: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Waits for something outside this process to become true. Checks it repeatedly until the time is over.
func eventually(
    _ what: String, seconds: Double, otherwise: () -> String = { "" }, _ condition: () throws -> Bool
) throws {
    let deadline = Date().addingTimeInterval(seconds)
    while try !condition() {
        guard Date() < deadline else { throw Unmet("not within \(seconds) s: \(what) \(otherwise().suffix(2000))") }
        usleep(20_000)
    }
}

extension Executable {
    /// The address that a worker reports after it was set to listen on any port.
    func adminURL() throws -> String {
        let line = errors.split(separator: "\n").first { $0.hasPrefix("admin endpoint at ") }
        guard let line else { throw Unmet("no admin endpoint: \(errors)") }
        return String(line.dropFirst("admin endpoint at ".count))
    }
}

/// Runs a program to its end and returns what it printed. Throws if the program failed.
@discardableResult
func run(_ program: String, _ arguments: [String], input: URL? = nil, seconds: Double = 60) throws -> String {
    let executable = try Executable(program, arguments, input: input)
    let code = try executable.wait(seconds: seconds)
    guard code == 0 else {
        throw Unmet(
            "\(program) \(arguments.joined(separator: " ")) exited with \(code): \(executable.errors.suffix(2000))")
    }
    return executable.output
}
