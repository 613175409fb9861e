import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite(.needsKafka) struct Outage {
        @Test func `a broker that is away for twenty seconds under load loses nothing`() throws {
            let bench = try WorkerHarness("outage", sandbox: ["--quota", "off", "--latency", "20ms"])
            try bench.publish((0..<4_000).map { .plain("k\($0)") })
            let worker = try bench.worker(["--log-level", "warning", "--admin-listen", "127.0.0.1:0"], ready: false)
            try bench.waitForResults(300, worker)
            bench.broker.crash()
            let back = Date().addingTimeInterval(20)
            let admin = try worker.adminURL()
            try eventually("readyz says that results wait", seconds: 15) {
                try run("curl", ["-s", "\(admin)/readyz"]).contains("results cannot be written")
            }
            try worker.says("results cannot be written")
            #expect(try run("curl", ["-s", "\(admin)/metrics"]).contains("plugin_starter_intake_paused 1"))
            try eventually("twenty seconds are over", seconds: 30) { Date() >= back }
            try bench.broker.start()
            // A worker whose session timed out waits until the broker, which counts anew, has given up its old member.
            try bench.waitForResults(4_000, seconds: 240, worker)
            try eventually(
                "readyz is well again", seconds: 90, otherwise: { (try? run("curl", ["-s", "\(admin)/readyz"])) ?? "" }
            ) {
                try run("curl", ["-s", "\(admin)/readyz"]) == "ok\n"
            }
            try eventually("offsets are committed to the end", seconds: 120) { try bench.committedLag() == 0 }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0, "\(worker.errors)")
            try bench.checkOneResultEach(4_000)
        }

        @Test(arguments: [true, false])
        func `partitions that are added are taken without a restart`(hasQuota: Bool) throws {
            let bench = try WorkerHarness("added", partitions: 2)
            try bench.broker.tool(
                "kafka-topics.sh", ["--alter", "--topic", bench.topics.results, "--partitions", "4"])
            let often =
                ["--kafka-property", "topic.metadata.refresh.interval.ms=500"]
                + (hasQuota ? ["--quota", "100/1s"] : [])
            let worker = try bench.worker(often)
            try bench.publish((0..<40).map { .plain("k\($0)") })
            try bench.broker.tool(
                "kafka-topics.sh", ["--alter", "--topic", bench.topics.requests, "--partitions", "4"])
            try worker.says("partitions assigned partitions=[0,1,2,3]")
            try bench.publish((40..<120).map { .plain("k\($0)") })
            try eventually("120 results", seconds: 60, otherwise: { worker.errors }) {
                try bench.results().count == 120
            }
            #expect(Set(try bench.results().map { $0.position.prefix(1) }).count == 4)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0, "\(worker.errors)")
            try bench.checkOneResultEach(120)
        }
    }
}
