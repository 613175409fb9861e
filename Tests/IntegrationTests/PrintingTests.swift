import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Printing {
        @Test func `a key that controls a terminal is printed without its controls`() throws {
            let bench = try WorkerHarness("printing")
            let worker = try bench.worker(["--log-level", "debug"])
            let key = "evil\u{9b}2J\u{7f}\u{202e}\u{2066}gnp"
            try bench.publish([.plain(key, host: "unknown-1")])
            try bench.waitForResults(1, worker)
            let table = try run(
                Executable.binary.path,
                ["results", "--bootstrap-servers", bench.broker.bootstrap, "--results-topic", bench.topics.results])
            #expect(table.contains("evil?2J???gnp"), "\(table)")
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            for text in [table, worker.errors] {
                #expect(!text.unicodeScalars.contains { $0.isDeceptive && $0 != "\n" })
            }
            #expect(worker.errors.contains(#"evil\u009b2J"#))
        }
    }
}
