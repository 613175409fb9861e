import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// The sandbox counts as HSS would. It counts per user, whichever worker calls.
    @Suite(.needsKafka) struct SharedQuota {
        static let quota = ["--quota", "5/4s", "--connect-timeout", "500ms"]

        static func summary(_ bench: WorkerHarness) throws -> JSON {
            try JSON(parsing: Array(run("curl", ["-sf", "\(bench.url)/_sandbox/summary"]).utf8))
        }

        @Test func `three workers keep to the quota through ten windows, one of them restarted in each`() throws {
            let bench = try WorkerHarness("quota", sandbox: ["--quota", "5/4s"])
            // One call per request. The requests last for more than ten windows, so that each worker always wants to
            // call.
            let arguments =
                Self.quota + [
                    "--hosts-per-call", "1", "--log-level", "info", "--session-timeout", "2s",
                ]
            try bench.publish((0..<70).map { .plain("k\($0)") })
            var workers = try (0..<3).map { _ in try bench.worker(arguments, ready: false, alone: false) }
            for window in 0..<10 {
                let until = Date().addingTimeInterval(4)
                let leaving = workers[window % 3]
                // The workers end by a clean shutdown and by a kill, in turn.
                leaving.signal(window % 2 == 0 ? SIGTERM : SIGKILL)
                let code = try leaving.wait(seconds: 20)
                if window % 2 == 0 { #expect(code == 0, "\(leaving.errors)") }
                workers[window % 3] = try bench.worker(arguments, ready: false, alone: false)
                try eventually("the window is over", seconds: 10) { Date() >= until }
            }
            let summary = try Self.summary(bench)
            print("calls in ten windows: \(summary["start_calls"]?.integer ?? -1)")
            #expect((summary["start_calls"]?.integer ?? 0) > 0)
            #expect((summary["most_starts_in_window"]?.integer ?? 99) <= 5)
            #expect(summary["calls"]?["start 429"] == nil)
            try bench.waitForResults(70, seconds: 200, workers[0])
            #expect(try Self.summary(bench)["calls"]?["start 429"] == nil)
            for worker in workers {
                worker.signal(SIGTERM)
                #expect(try worker.wait() == 0, "\(worker.errors)")
            }
            try bench.checkOneResultEach(70)
        }

        @Test func `after an orderly restart the worker waits only for its predecessor's calls`() throws {
            let bench = try WorkerHarness("quota-restart", sandbox: ["--quota", "5/4s"])
            let arguments = Self.quota + ["--hosts-per-call", "1"]
            try bench.publish((0..<5).map { .plain("k\($0)") })
            let first = try bench.worker(arguments, alone: false)
            try bench.waitForResults(5, first)
            first.signal(SIGTERM)
            #expect(try first.wait() == 0)
            try bench.publish((5..<10).map { .plain("k\($0)") })
            let second = try bench.worker(arguments, alone: false)
            try bench.waitForResults(10, second)
            let calls = try bench.journal().filter { $0["api"]?.string == "start" }.compactMap { $0["time"]?.integer }
            #expect(calls.count == 10)
            let gap = calls[5] - calls[4]
            #expect(gap > 3_900 && gap < 9_000, "\(gap) ms")
            #expect(try Self.summary(bench)["calls"]?["start 429"] == nil)
            second.signal(SIGTERM)
            #expect(try second.wait() == 0)
        }
    }
}
