import Testing

@testable import Core

@Suite struct MaintenanceTests {
    static func time(_ text: String) throws -> Timestamp { try #require(Timestamp(rfc3339: text)) }

    static let night = Maintenance.Times.weekly(days: [6], from: .seconds(22 * 3600), lasting: .seconds(6 * 3600))

    /// 2026-01-03 is a Saturday.
    @Test(
        arguments: [
            ("2026-01-03T21:59:59.999Z", nil), ("2026-01-03T22:00:00Z", "2026-01-04T04:00:00Z"),
            ("2026-01-04T03:59:59.999Z", "2026-01-04T04:00:00Z"), ("2026-01-04T04:00:00Z", nil),
            ("2026-01-04T22:30:00Z", nil), ("2026-01-03T03:00:00Z", nil),
            ("1969-12-27T23:00:00Z", "1969-12-28T04:00:00Z"),
        ] as [(String, String?)]) func `a weekly time begins on its day, in UTC, and may end on the next`(
            _ now: String, _ end: String?
        ) throws
    {
        let maintenance = Maintenance("night", Self.night)
        #expect(maintenance.end(at: try Self.time(now)) == (try end.map(Self.time)))
    }

    @Test func `a one-time maintenance contains its beginning and not its end`() throws {
        let (from, to) = (try Self.time("2026-12-24T00:00:00Z"), try Self.time("2027-01-02T00:00:00Z"))
        let maintenance = Maintenance("year-end", .once(from..<to))
        #expect(maintenance.end(at: from) == to && maintenance.end(at: to) == nil)
        #expect(maintenance.end(at: from + .milliseconds(-1)) == nil)
    }

    /// A harness in which maintenance lasts for the first hour.
    static func harness(
        critical: Bool = false, projects: NamePatterns? = nil,
        _ change: (inout Pipeline.Configuration) -> Void = { _ in }
    ) -> PipelineHarness {
        let start = PipelineHarness().now.wall
        var maintenance = Maintenance("freeze", .once(start..<(start + .seconds(3600))))
        maintenance.allowsCritical = critical
        maintenance.selector.projects = projects
        return PipelineHarness {
            $0.policy.maintenance = [maintenance]
            change(&$0)
        }
    }

    @Test func `nothing is called during maintenance, and everything right after it`() {
        var harness = Self.harness()
        harness.receive(key: "a", hosts: ["h1"])
        harness.receive(key: "b", hosts: ["h2"], more: #","priority":"critical""#)
        #expect(harness.calls.isEmpty)
        #expect(harness.pipeline.deadline(harness.now) == harness.now.uptime + .seconds(3600))
        harness.pass(.seconds(3599))
        #expect(harness.calls.isEmpty && harness.results.isEmpty)
        harness.pass(.seconds(1))
        #expect(Set(harness.calls.flatMap(\.hostIDs)) == ["h1", "h2"])
    }

    @Test func `a request that expires during maintenance is expired`() {
        var harness = Self.harness()
        harness.receive(key: "a", more: #","expires_at":"2026-01-01T00:30:00Z""#)
        harness.settle()
        #expect(harness.statuses == [.expired])
        #expect(harness.now.wall.description == "2026-01-01T00:30:00.000Z")
    }

    @Test func `with an exception critical requests are called alone, also those that come later`() {
        var harness = Self.harness(critical: true)
        harness.receive(key: "a", hosts: ["h1"], isLast: false)
        harness.receive(key: "b", hosts: ["h2"], more: #","priority":"critical""#)
        #expect(harness.calls.map(\.hostIDs) == [["h2"]])
        harness.answer(200)
        harness.receive(key: "c", hosts: ["h3"], more: #","priority":"critical""#)
        #expect(harness.calls.map(\.hostIDs) == [["h3"]])
        harness.answer(429)
        harness.pass(.seconds(120))
        #expect(harness.calls.map(\.hostIDs) == [["h3"]], "it goes back into line and is called again")
        harness.answer(200)
        harness.receive(key: "d", hosts: ["h4"], more: #","priority":"bulk""#)
        #expect(harness.calls.isEmpty)
        harness.settle()
        #expect(harness.results.allSatisfy { $0.status == .succeeded } && harness.results.count == 4)
        #expect(harness.results.suffix(2).allSatisfy { $0.completedAt - PipelineHarness().now.wall >= .seconds(3600) })
    }

    @Test func `other projects are called during maintenance`() {
        var harness = Self.harness(projects: ["prod-*"])
        harness.receive(key: "a", hosts: ["h1"], project: "prod-1")
        harness.receive(key: "b", hosts: ["h2"], project: "staging")
        #expect(harness.calls.map(\.hostIDs) == [["h2"]])
    }

    @Test func `a call that fails as maintenance begins waits for its end, and is not given up`() {
        let begin = PipelineHarness().now.wall + .seconds(10)
        var harness = PipelineHarness {
            $0.policy.maintenance = [Maintenance("freeze", .once(begin..<(begin + .seconds(7200))))]
        }
        harness.receive(key: "a")
        harness.pass(.seconds(11))
        harness.answer(503)
        harness.settleFor(.seconds(7000))
        #expect(harness.calls.isEmpty && harness.results.isEmpty)
        harness.settle()
        #expect(harness.statuses == [.succeeded])
        #expect(harness.now.wall >= begin + .seconds(7200))
    }

    @Test func `a new policy ends or begins maintenance for requests that wait`() {
        var harness = Self.harness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        harness.receive(key: "a", hosts: ["h1"])
        let frozen = harness.pipeline.policy
        harness.hand(.policyChanged(Policy()))
        #expect(harness.calls.count == 1)
        harness.receive(key: "b", hosts: ["h2"])
        harness.hand(.policyChanged(frozen))
        harness.answer(200)
        harness.pass(.seconds(300))
        #expect(harness.calls.isEmpty && harness.pipeline.openCount == 1)
    }

    @Test func `a decision names the maintenance and its end`() throws {
        var policy = Policy()
        policy.maintenance = [
            Maintenance("night", Self.night),
            Maintenance("always", .weekly(days: [0, 6], from: .zero, lasting: .seconds(86_400))),
        ]
        policy.maintenance[1].allowsCritical = true
        let now = try Self.time("2026-01-03T23:00:00Z")
        let decision = policy.decision(for: try PolicyTests.request(), at: now)
        #expect(
            decision.description == "allowed by default, waits until 2026-01-04T04:00:00.000Z for maintenance night")
        let critical = policy.decision(
            for: try PolicyTests.request(priority: "critical"), at: try Self.time("2026-01-04T05:00:00Z"))
        #expect(critical.maintenance == nil)
    }
}
