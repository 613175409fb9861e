import Foundation
import Testing

@testable import Core

extension OnARealBroker {
    @Suite struct Outage {
        @Test func `a broker that is away for twenty seconds under load loses nothing`() throws {
            let bench = try Bench("outage", sandbox: ["--quota", "off", "--latency", "20ms"])
            try bench.publish((0..<4_000).map { .plain("k\($0)") })
            let worker = try bench.worker(["--log-level", "warning"], ready: false)
            try bench.waitForResults(300, worker)
            bench.broker.crash()
            let back = Date().addingTimeInterval(20)
            try eventually("twenty seconds are over", seconds: 30) { Date() >= back }
            try bench.broker.start()
            try bench.waitForResults(4_000, seconds: 120, worker)
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0, "\(worker.errors)")
            try bench.checkOneResultEach(4_000)
            let lag = try bench.committedLag()
            #expect(lag == 0, "\(worker.errors)")
        }
    }
}
