import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct StandardError {
        @Test func `an unread standard error stops nothing, and the worker exits normally`() throws {
            let bench = try WorkerHarness("stderr")
            let process = Process()
            let pipe = Pipe()
            process.executableURL = Executable.binary
            process.arguments = bench.arguments(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            process.environment = ProcessInfo.processInfo.environment.merging(WorkerHarness.credentials) { $1 }
            process.standardError = pipe
            try process.run()
            defer {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            // The pipe is read until the worker is ready, and never again.
            var text = ""
            try eventually("the worker is ready", seconds: 30, otherwise: { text }) {
                text += String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
                return text.contains(#""ready""#)
            }
            let place = try #require(text.firstMatch(of: /http:\/\/127\.0\.0\.1:[0-9]+/))
            let admin = String(place.0)
            // Each of these requests causes a log line. Together the lines are more than the pipe and the buffer hold.
            try bench.publish((0..<12_000).map { .init(key: "k\($0)", value: "{}") })
            try bench.waitForResults(12_000, seconds: 60)
            #expect(try run("curl", ["-s", "-m", "2", "\(admin)/livez"]) == "ok\n")
            try eventually("dropped lines are counted", seconds: 10) {
                let metrics = try run("curl", ["-s", "-m", "2", "\(admin)/metrics"])
                let line = metrics.split(separator: "\n").first {
                    $0.hasPrefix("plugin_starter_log_lines_dropped_total ")
                }
                return (line?.split(separator: " ").last.flatMap { Int($0) } ?? 0) > 0
            }
            kill(process.processIdentifier, SIGTERM)
            try eventually("the worker ends", seconds: 20) { !process.isRunning }
            #expect(process.terminationReason == .exit && process.terminationStatus == 0)
            try bench.checkOneResultEach(12_000)
        }
    }
}
