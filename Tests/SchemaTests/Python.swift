import Foundation
import Testing

/// The repository's root.
let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

let updates = ProcessInfo.processInfo.environment["UPDATE_EXAMPLES"] == "1"

/// A Python with jsonschema and cloudevents, which judge without the worker's code.
enum Python {
    static let path: String? = {
        let path = ProcessInfo.processInfo.environment["VENDOR_PYTHON"]
        guard let path, FileManager.default.isExecutableFile(atPath: path) else {
            print("SKIPPED: the checks of the schemas and CloudEvents need VENDOR_PYTHON (make test sets it)")
            return nil
        }
        return path
    }()

    /// Runs a script of the folder Fixtures to its end, and returns what it prints.
    static func run(_ script: String, _ arguments: [String] = [], input: [String] = []) throws -> [String] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("schemas-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (standardInput, output) = (folder.appendingPathComponent("in"), folder.appendingPathComponent("out"))
        try Data(input.map { $0 + "\n" }.joined().utf8).write(to: standardInput)
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(path))
        let file = root.appendingPathComponent("Tests/SchemaTests/Fixtures/\(script)")
        process.arguments = ["-B", file.path] + arguments
        process.standardInput = try FileHandle(forReadingFrom: standardInput)
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(script) failed")
        return String(decoding: try Data(contentsOf: output), as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

extension Trait where Self == ConditionTrait {
    static var needsPython: Self { .enabled(if: Python.path != nil, "VENDOR_PYTHON is not set") }
}
