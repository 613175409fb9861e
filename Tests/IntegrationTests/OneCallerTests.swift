import Foundation
import Testing

@testable import Core
@testable import Kafka

extension OnABroker {
    /// With a quota, one worker of the group calls and the others stand by.
    @Suite(.needsKafka) struct OneCaller {
        /// A call that arrived, and the worker that made it.
        struct Call {
            var time: Int64
            var worker: String
        }

        static func calls(_ bench: WorkerHarness) throws -> [Call] {
            try bench.journal().filter { $0["api"]?.string == "start" }.map {
                Call(time: $0["time"]?.integer ?? 0, worker: $0["worker"]?.string ?? "")
            }
        }

        static func storm(_ count: Int) -> [WorkerHarness.Request] { (0..<count).map { .plain("k\($0)") } }

        /// The workers that called, in order, with one entry for each uninterrupted run of calls.
        static func callers(_ bench: WorkerHarness) throws -> [String] {
            var callers: [String] = []
            for call in try calls(bench) where call.worker != callers.last { callers.append(call.worker) }
            return callers
        }

        /// Checks what holds however a caller ends. No window exceeds the quota, no call gets a 429, each request has
        /// one result, and the caller changes no more often than there were takeovers.
        static func check(_ bench: WorkerHarness, quota: Int, _ requests: Int, _ workers: [Executable]) throws {
            let summary = try SharedQuota.summary(bench)
            #expect((summary["most_starts_in_window"]?.integer ?? 99) <= Int64(quota))
            #expect(summary["calls"]?["start 429"] == nil)
            try bench.checkOneResultEach(requests)
            let callers = try callers(bench)
            let takeovers = workers.reduce(0) {
                $0 + $1.errors.components(separatedBy: "this worker is now the caller").count - 1
            }
            #expect(!callers.contains(""))
            #expect(callers.count <= takeovers, "calls of two workers are mixed: \(callers)")
        }

        static func stop(_ workers: [Executable]) throws {
            for worker in workers { worker.signal(SIGTERM) }
            for worker in workers { try worker.wait() }
        }

        @Test func `three replicas call as often as one, and two of them are ready and stand by`() throws {
            let bench = try WorkerHarness("replicas", sandbox: ["--quota", "5/2s"])
            let arguments = ["--quota", "5/2s", "--admin-listen", "127.0.0.1:0", "--session-timeout", "2s"]
            let workers = try (0..<3).map { _ in try bench.worker(arguments, alone: false) }
            try bench.publish(Self.storm(1_000))
            try bench.waitForResults(1_000, workers[0])
            #expect((10...11).contains(try Self.calls(bench).count))
            try Self.check(bench, quota: 5, 1_000, workers)
            var answers: [String] = []
            var active = 0
            for worker in workers {
                let admin = try worker.adminURL()
                answers.append(try run("curl", ["-sf", "\(admin)/readyz"]))
                let metrics = try run("curl", ["-sf", "\(admin)/metrics"]).split(separator: "\n")
                active += metrics.count { $0 == "plugin_starter_active 1" }
                let isStandby = metrics.contains("plugin_starter_active 0")
                #expect(isStandby == (answers.last == "standby\n"))
            }
            #expect(active == 1)
            #expect(answers.count { $0 == "standby\n" } == 2)
        }

        @Test func `a caller that is killed in a storm is replaced within the quota, and nothing is lost`() throws {
            let bench = try WorkerHarness("killed", sandbox: ["--quota", "5/2s"])
            let arguments = ["--quota", "5/2s", "--hosts-per-call", "50", "--session-timeout", "2s"]
            let first = try bench.worker(arguments, alone: false)
            let second = try bench.worker(arguments, alone: false)
            try bench.publish(Self.storm(1_000))
            try bench.waitForResults(300, first)
            let killed = Int64(Date().timeIntervalSince1970 * 1000)
            first.signal(SIGKILL)
            try first.wait()
            try bench.waitForResults(1_000, second)
            let calls = try Self.calls(bench)
            let next = try #require(calls.first { $0.worker != calls[0].worker })
            print("from SIGKILL of the caller to the next call: \(next.time - killed) ms")
            try Self.check(bench, quota: 5, 1_000, [first, second])
            try Self.stop([second])
        }

        @Test func `a rolling restart repeats no call and delays calls by three seconds at most`() throws {
            let bench = try WorkerHarness("rolling", sandbox: ["--quota", "5/2s"])
            let arguments = ["--quota", "5/2s", "--hosts-per-call", "5", "--log-level", "info"]
            var workers = try (0..<3).map { _ in try bench.worker(arguments, alone: false) }
            var all = workers
            try bench.publish(Self.storm(400))
            for place in 0..<3 {
                try bench.waitForResults(60 + place * 60, workers[2])
                workers[place].signal(SIGTERM)
                #expect(try workers[place].wait() == 0, "\(workers[place].errors)")
                workers[place] = try bench.worker(arguments, alone: false)
                all.append(workers[place])
            }
            try bench.waitForResults(400, workers[2])
            let calls = try Self.calls(bench)
            #expect(calls.count == 80, "none is repeated")
            let gap = zip(calls, calls.dropFirst()).map { $1.time - $0.time }.max() ?? 0
            print("longest gap between calls in a rolling restart: \(gap) ms, 2000 of them by the quota")
            #expect(gap <= 5_000)
            try Self.check(bench, quota: 5, 400, all)
            try Self.stop(workers)
        }

        @Test(arguments: [1.0, 4, 12])
        func `a stopped caller never calls at the same time as its successor`(seconds: Double) throws {
            let bench = try WorkerHarness("still", sandbox: ["--quota", "5/1s"])
            let arguments = [
                "--quota", "5/1s", "--hosts-per-call", "10", "--session-timeout", "2s", "--connect-timeout", "500ms",
            ]
            let first = try bench.worker(arguments, alone: false)
            let second = try bench.worker(arguments, alone: false)
            try bench.publish(Self.storm(600))
            try bench.waitForResults(100, first)
            first.signal(SIGSTOP)
            let until = Date().addingTimeInterval(seconds)
            try eventually("it stood still for long enough", seconds: 30) { Date() >= until }
            first.signal(SIGCONT)
            try bench.waitForResults(600, second)
            try Self.check(bench, quota: 5, 600, [first, second])
            if seconds > 2 { #expect(try Self.callers(bench).count > 1, "the other one took over") }
            try Self.stop([first, second])
        }

        @Test func `a worker that joins does not take the caller's place`() throws {
            let bench = try WorkerHarness("joins", sandbox: ["--quota", "100/1s"])
            let first = try bench.worker(["--quota", "100/1s"], alone: false)
            try bench.publish(Self.storm(20))
            try bench.waitForResults(20, first)
            let others = try (0..<2).map { _ in try bench.worker(["--quota", "100/1s"], alone: false) }
            try bench.publish((20..<60).map { .plain("k\($0)") })
            try bench.waitForResults(60, first)
            #expect(try Self.callers(bench).count == 1)
            #expect(others.allSatisfy { $0.errors.contains("standing by") })
            try Self.check(bench, quota: 100, 60, [first] + others)
            try Self.stop([first] + others)
        }

        @Test func `six workers that start with a wrong key are refused three times at most`() throws {
            let bench = try WorkerHarness("wrong-key", sandbox: ["--quota", "5/60s"])
            try bench.publish(Self.storm(30))
            let workers = try (0..<6).map { _ in
                try bench.worker(
                    [], environment: ["HUAWEICLOUD_SDK_SK": "wrong"], ready: false, alone: false)
            }
            try eventually("the key is refused", seconds: 30) {
                workers.contains { $0.errors.contains("credential refused") }
            }
            try Self.stop(workers)
            let refused = try bench.journal().filter { $0["http_status"]?.integer == 401 }
            #expect((1...3).contains(refused.count))
        }

        @Test(arguments: [
            ["group.instance.id"], ["partition.assignment.strategy=cooperative-sticky"],
        ]) func `static members and a custom assignment strategy have one caller too`(_ property: [String]) throws {
            let bench = try WorkerHarness("member", sandbox: ["--quota", "100/1s"])
            let workers = try ["a", "b"].map { name in
                let value = property[0].contains("=") ? property[0] : "\(property[0])=\(name)"
                return try bench.worker(["--quota", "100/1s", "--kafka-property", value], alone: false)
            }
            try bench.publish(Self.storm(40))
            try bench.waitForResults(40, workers[0])
            try Self.check(bench, quota: 100, 40, workers)
            #expect(try Self.callers(bench).count == 1)
            try Self.stop(workers)
        }

        @Test func `with the broker's assignor of KIP-848 there is one caller too`() throws {
            let python = try #require(ProcessInfo.processInfo.environment["VENDOR_PYTHON"], "make test sets it")
            let library = try run(
                python,
                [
                    "-c",
                    "import confluent_kafka, glob, os; print(glob.glob(os.path.join(os.path.dirname(os.path.dirname(confluent_kafka.__file__)), 'confluent_kafka.libs', 'librdkafka*'))[0])",
                ]
            ).trimmingCharacters(in: .whitespacesAndNewlines)
            let directory = try Executable.scratch("newest")
            defer { try? FileManager.default.removeItem(at: directory) }
            try FileManager.default.createSymbolicLink(
                atPath: directory.appendingPathComponent("librdkafka.so.1").path, withDestinationPath: library)
            let path = directory.path + ":" + (library as NSString).deletingLastPathComponent
            let bench = try WorkerHarness("kip848", sandbox: ["--quota", "100/1s"])
            let workers = try (0..<2).map { _ in
                try bench.worker(
                    ["--quota", "100/1s", "--kafka-property", "group.protocol=consumer"],
                    environment: ["LD_LIBRARY_PATH": path], alone: false)
            }
            try bench.publish(Self.storm(40))
            try bench.waitForResults(40, workers[0])
            try Self.check(bench, quota: 100, 40, workers)
            try Self.stop(workers)
        }

        @Test func `a caller that exits normally hands over when its quota slots become free`() throws {
            let bench = try WorkerHarness("left", sandbox: ["--quota", "5/60s"])
            let worker = try bench.worker(alone: false)
            try bench.publish(Self.storm(5))
            try bench.waitForResults(5, worker)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            // The test does not use confluent_kafka, which reads the text as a C string and so reads past its end.
            let configuration = ClientConfiguration(bootstrapServers: bench.broker.bootstrap)
            let reader = try PartitionReader(configuration, topic: bench.topics.requests, group: bench.topics.group)
            let text = try #require(try reader.committed([0], milliseconds: 10_000)[0]).metadata
            let handover = try #require(Handover(text), "\(text)")
            #expect(handover.start.count == (try Self.calls(bench).count))
            let last = try #require(try Self.calls(bench).last)
            #expect(abs((handover.start.last?.milliseconds ?? 0) - last.time - 60_000) < 2_000)
        }
    }
}
