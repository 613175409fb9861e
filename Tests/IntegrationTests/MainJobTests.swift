import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct MainJob {
        @Test func `ten thousand requests of which a tenth are repeats`() throws {
            let bench = try WorkerHarness("main")
            let requests = (0..<10_000).map { number in
                WorkerHarness.Request.plain("key-\(number % 10 == 9 ? number - 9 : number)")
            }
            try bench.publish(requests)
            let worker = try bench.worker(["--concurrency", "64", "--log-level", "warning"], ready: false)
            try bench.waitForResults(10_000, seconds: 180, worker)
            let statuses = Dictionary(grouping: try bench.results(), by: \.status).mapValues(\.count)
            #expect(statuses == ["succeeded": 9_000, "duplicate": 1_000])
            try bench.checkOneResultEach(10_000)
            let journal = try bench.journal()
            #expect(journal.count == 9_000)
            #expect(Set(journal.compactMap { $0["hosts"]?.array?.first?.string }).count == 9_000)
            try eventually("offsets are committed to the end", seconds: 30) { try bench.committedLag() == 0 }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            #expect(try bench.committedLag() == 0)
        }

        @Test func `a project id cannot leave its path segment`() throws {
            let bench = try WorkerHarness("path")
            let worker = try bench.worker()
            let request = try Executable.starter([
                "request", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                "--results-topic", bench.topics.results, "--project-id", "..x?y#z", "--plugin-code", "ndr",
                "--host",
                "h", "--wait", "20s",
            ])
            #expect(try request.wait() == 0, "\(request.errors)")
            let call = try #require(try bench.journal().first)
            #expect(call["target"]?.string == "/v5/..x%3Fy%23z/plugins/attachments/start")
            #expect(call["project_id"]?.string == "..x?y#z")
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `SIGTERM and a restart lose no request and answer none twice`() throws {
            let bench = try WorkerHarness("sigterm", sandbox: ["--quota", "off", "--latency", "5ms"])
            try bench.publish((0..<3_000).map { .plain("k\($0)") })
            for _ in 0..<3 {
                let before = try bench.count(bench.topics.results)
                let worker = try bench.worker(["--log-level", "warning"], ready: false)
                try bench.waitForResults(before + 200, worker)
                worker.signal(SIGTERM)
                #expect(try worker.wait() == 0, "\(worker.errors)")
            }
            let last = try bench.worker(["--log-level", "warning"], ready: false)
            try bench.waitForResults(3_000, last)
            last.signal(SIGTERM)
            #expect(try last.wait() == 0)
            try bench.checkOneResultEach(3_000)
            #expect(try bench.journal().count == 3_000, "no call was repeated")
        }

        @Test func `a second signal exits at once`() throws {
            let bench = try WorkerHarness("second", sandbox: ["--quota", "off", "--fault", "hang"])
            let worker = try bench.worker()
            try bench.publish([.plain("k")])
            try eventually("a call hangs", seconds: 20) { try !bench.journal().isEmpty }
            worker.signal(SIGTERM)
            try worker.says("stopping")
            worker.signal(SIGTERM)
            #expect(try worker.wait(seconds: 5) == 143)
        }

        @Test(.needsKafka) func `a drain that runs out of time exits 75 and the request is answered later`() throws {
            let bench = try WorkerHarness("drain", sandbox: ["--quota", "off", "--fault", "hang:count=1"])
            let worker = try bench.worker(["--shutdown-timeout", "1s"])
            try bench.publish([.plain("k")])
            try eventually("a call hangs", seconds: 20) { try !bench.journal().isEmpty }
            worker.signal(SIGTERM)
            #expect(try worker.wait(seconds: 15) == 75)
            let second = try bench.worker()
            try bench.waitForResults(1, second)
            try bench.checkOneResultEach(1)
        }
    }
}
