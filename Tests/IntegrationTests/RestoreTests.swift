import Foundation
import Testing

@testable import Core

extension OnABroker {
    /// After a restart, a worker learns everything it knows from the results topic.
    @Suite struct Restore {
        @Test func `a replay of the whole topic makes no call and no result`() throws {
            let bench = try WorkerHarness("replay")
            try bench.publish(
                (0..<1_500).map { .plain("k\($0 % 1_400)") }
                    + [.init(key: "bad", value: "{}"), .plain("refused", host: "unknown-1")])
            let first = try bench.worker(["--log-level", "warning"], ready: false)
            try bench.waitForResults(1_502, first)
            first.signal(SIGTERM)
            #expect(try first.wait() == 0)
            let calls = try bench.journal().count

            // Another group has no committed offsets, so it reads everything again.
            let again = try bench.worker(["--group", bench.topics.group + "-again"])
            try again.says("results read count=1502 skipped=0")
            try bench.publish([
                .plain("k7"), .plain("k7", host: "other"), .plain("refused", host: "unknown-1"), .plain("new"),
            ])
            try bench.waitForResults(1_506, again)
            again.signal(SIGTERM)
            #expect(try again.wait() == 0, "\(again.errors)")
            try bench.checkOneResultEach(1_506)
            #expect(try bench.journal().count == calls + 1, "only the new key is called")
            let last = try bench.results().suffix(1_506).filter { ["k7", "new", "refused"].contains($0.key) }
            let statuses = Dictionary(grouping: last, by: \.key).mapValues { $0.map(\.status).sorted() }
            #expect(statuses["k7"] == ["conflict", "duplicate", "duplicate", "succeeded"])
            #expect(statuses["refused"] == ["duplicate", "failed"])
            #expect(statuses["new"] == ["succeeded"])
            let repeated = try #require(last.last { $0.key == "refused" && $0.status == "duplicate" })
            #expect(repeated.json["error"]?["code"]?.string == "HSS.0011")
            #expect(repeated.json["original"]?["status"]?.string == "failed")
        }

        @Test(.needsKafka)
        func `kill -9 again and again: every record one result, calls repeated no more than were in flight`()
            throws
        {
            let bench = try WorkerHarness("kill", sandbox: ["--quota", "off", "--latency", "20ms"])
            let session = ["--session-timeout", "2s"]
            try bench.publish(
                (0..<4_000).map { .plain("k\($0)") } + (0..<200).map { .init(key: "bad\($0)", value: "{}") })
            let kills = 5
            for _ in 0..<kills {
                let before = try bench.count(bench.topics.results)
                let worker = try bench.worker(["--log-level", "warning"] + session, ready: false)
                try bench.waitForResults(before + 300, seconds: 60, worker)
                worker.signal(SIGKILL)
                try worker.wait()
            }
            let last = try bench.worker(["--log-level", "warning"] + session, ready: false)
            try bench.waitForResults(4_200, last)
            last.signal(SIGTERM)
            #expect(try last.wait() == 0, "\(last.errors)")
            try bench.checkOneResultEach(4_200)
            let repeated = try bench.journal().count - 4_000
            print("calls repeated after \(kills) kills: \(repeated)")
            #expect(repeated >= 0 && repeated <= kills * 16 * 4)
        }

        @Test(.needsKafka)
        func `requests deleted unread by retention are logged and counted, and the rest are answered`() throws {
            let bench = try WorkerHarness("retention", partitions: 1)
            try bench.publish((0..<20).map { .plain("k\($0)") })
            let first = try bench.worker()
            try bench.waitForResults(20, first)
            first.signal(SIGTERM)
            #expect(try first.wait() == 0)
            try bench.publish((20..<60).map { .plain("k\($0)") })
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("delete-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try #"{"partitions":[{"topic":"\#(bench.topics.requests)","partition":0,"offset":50}],"version":1}"#
                .write(to: file, atomically: true, encoding: .utf8)
            try bench.broker.tool("kafka-delete-records.sh", ["--offset-json-file", file.path])
            let second = try bench.worker()
            try second.says("requests lost: retention deleted them")
            #expect(second.errors.contains("from_offset=20 count=30"), "\(second.errors)")
            try bench.waitForResults(30, second)
            try eventually("offsets are committed to the end", seconds: 30) { try bench.committedLag() == 0 }
            second.signal(SIGTERM)
            #expect(try second.wait() == 0)
        }

        @Test(.needsKafka) func `a static member that restarts moves no partition`() throws {
            let bench = try WorkerHarness("static")
            func member(_ name: String) throws -> Executable {
                try bench.worker(["--kafka-property", "group.instance.id=\(name)"])
            }
            let first = try member("a")
            let second = try member("b")
            try eventually("both have partitions", seconds: 30) {
                second.errors.contains("partitions assigned") && first.errors.contains("partitions revoked")
            }
            let before = second.errors.components(separatedBy: "partitions revoked").count
            first.signal(SIGTERM)
            #expect(try first.wait() == 0, "\(first.errors)")
            let again = try member("a")
            try bench.publish((0..<200).map { .plain("k\($0)") })
            try bench.waitForResults(200, again)
            #expect(second.errors.components(separatedBy: "partitions revoked").count == before)
            for worker in [again, second] {
                worker.signal(SIGTERM)
                #expect(try worker.wait() == 0, "\(worker.errors)")
            }
            try bench.checkOneResultEach(200)
        }

        @Test(.needsKafka) func `a transaction marker at the end does not keep the lag above zero`() throws {
            let bench = try WorkerHarness("marker", partitions: 2)
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("payload-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try WorkerHarness.Request.plain("t").value.write(to: file, atomically: true, encoding: .utf8)
            let worker = try bench.worker()
            for _ in 0..<2 {
                try run(
                    "\(try #require(bench.broker.home))/bin/kafka-producer-perf-test.sh",
                    [
                        "--topic", bench.topics.requests, "--num-records", "20", "--payload-file", file.path,
                        "--throughput", "-1", "--transactional-id", "t", "--transaction-duration-ms", "1",
                        "--producer-props", "bootstrap.servers=\(bench.broker.bootstrap)",
                    ])
            }
            #expect(try bench.count(bench.topics.requests) > 40, "markers take offsets")
            try bench.waitForResults(40, worker)
            try eventually("nothing is left to commit", seconds: 30) { try bench.committedLag() == 0 }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0, "\(worker.errors)")
            try bench.checkOneResultEach(40)
        }

        @Test(.needsKafka) func `partitions revoked while paused are read when they come back`() throws {
            let bench = try WorkerHarness("paused", sandbox: ["--quota", "off", "--latency", "3s"])
            try bench.publish((0..<200).map { .plain("k\($0)") })
            let first = try bench.worker(["--max-open", "40", "--concurrency", "64"])
            try first.says("intake paused")
            let second = try bench.worker()
            second.signal(SIGTERM)
            #expect(try second.wait(seconds: 30) == 0, "\(second.errors)")
            try bench.waitForResults(200, first)
            first.signal(SIGTERM)
            #expect(try first.wait() == 0, "\(first.errors)")
            try bench.checkOneResultEach(200)
        }

        @Test(.needsKafka)
        func `two workers share the partitions, and one that leaves hands them over without a repeat`() throws {
            let bench = try WorkerHarness("share", sandbox: ["--quota", "off", "--latency", "10ms"])
            let first = try bench.worker(["--log-level", "warning"], ready: false)
            try bench.publish((0..<3_000).map { .plain("k\($0)") })
            try bench.waitForResults(100, first)
            let second = try bench.worker(["--log-level", "info"])
            try bench.waitForResults(1_000, second)
            first.signal(SIGTERM)
            #expect(try first.wait() == 0, "\(first.errors)")
            try bench.waitForResults(3_000, second)
            second.signal(SIGTERM)
            #expect(try second.wait() == 0, "\(second.errors)")
            try bench.checkOneResultEach(3_000)
            #expect(try bench.journal().count == 3_000)
        }
    }
}
