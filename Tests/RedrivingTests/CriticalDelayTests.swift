import Core
import Planning
import Testing

/// The worker's own core in virtual time, with and without a redrive beside new critical requests.
@Suite struct CriticalDelayTests {
    /// An hour of critical requests, three projects at a time, which take nine tenths of the quota.
    static func waits(redriven: Int, rate: Double) throws -> (critical: Waits, bulk: Waits?) {
        func record(_ number: Int, at seconds: Double, _ kind: String, project: Int, partition: Int32) -> Record {
            let value =
                #"{"idempotency_key":"\#(kind)\#(number)","project_id":"p\#(project)","plugin_code":"ndr","#
                + #""host_id_list":["\#(kind)-h\#(number)"],"priority":"\#(kind)"}"#
            return Record(
                position: Position(partition: partition, offset: Int64(number)),
                timestamp: Timestamp(milliseconds: Int64(seconds * 1000)), key: nil, value: Array(value.utf8))
        }
        let critical = (0..<270).map { record($0, at: Double($0 / 3) * 40, "critical", project: $0 % 3, partition: 0) }
        let again = (0..<redriven).map {
            record($0, at: 600 + Double($0) / rate, "bulk", project: 3 + $0 % 4, partition: 1)
        }
        var configuration = Pipeline.Configuration(quota: RateLimit(calls: 5, window: .seconds(60)))
        configuration.pacing = 1
        let now = Now(uptime: Uptime(.seconds(1000)), wall: Timestamp(milliseconds: 0))
        let plan = Plan(critical + again, configuration, hosts: nil, now: now, atOnce: false)
        #expect(plan.unanswered == 0)
        return (try #require(plan.waits(of: .critical)), plan.waits(of: .bulk))
    }

    @Test(arguments: [(2000, 5.0), (500, 50.0)])
    func `beside a redrive the p99 of critical requests grows by one window at most`(
        _ redrive: (requests: Int, rate: Double)
    ) throws {
        let alone = try Self.waits(redriven: 0, rate: 1)
        let beside = try Self.waits(redriven: redrive.requests, rate: redrive.rate)
        print(
            "critical p99: \(alone.critical.p99) alone, \(beside.critical.p99) beside \(redrive.requests) redriven "
                + "requests at \(redrive.rate)/s, which waited \(beside.bulk?.worst ?? .zero) at most")
        #expect(beside.bulk?.count == redrive.requests)
        // A call that went just before can hold the last slot of a window.
        #expect(beside.critical.p99 <= alone.critical.p99 + .seconds(60))
    }
}
