import Testing

@testable import Core

@Suite struct LimitCountsTests {
    static func policy(_ measure: Policy.Limit.Measure, projects: NamePatterns? = nil) -> Policy {
        var policy = Policy()
        var limit = Policy.Limit("few", measure)
        limit.selector.projects = projects
        policy.limits = [limit]
        return policy
    }

    static func at(_ milliseconds: Int64) -> Now {
        Now(uptime: Uptime(.milliseconds(milliseconds)), wall: Timestamp(milliseconds: milliseconds))
    }

    @Test func `no window holds more than the limit, whatever the times, and room comes back`() throws {
        let policy = Self.policy(.hosts(20, window: .seconds(60)))
        var counts = LimitCounts()
        var generator = SplitMix64(seed: 4)
        var admitted: [(at: Int64, hosts: Int)] = []
        var time: Int64 = 1_000_000
        for _ in 0..<5_000 {
            time += Int64.random(in: 0...9_000, using: &generator)
            let hosts = Int.random(in: 1...6, using: &generator)
            let request = try PolicyTests.request(hosts: (0..<hosts).map { "h\($0)" })
            let before = admitted.filter { $0.at > time - 60_000 }.reduce(0) { $0 + $1.hosts }
            if counts.admit(request, policy, Self.at(time)) == nil {
                admitted.append((time, hosts))
                #expect(before + hosts <= 20)
            } else {
                // A step of a sixtieth of the window is over when its last part is.
                let surely = admitted.filter { $0.at > time - 61_000 }.reduce(0) { $0 + $1.hosts }
                #expect(surely + hosts > 20)
            }
        }
        #expect(admitted.count > 1_000 && admitted.count < 4_500)
    }

    @Test func `a refusal names the limit and when there is room`() throws {
        let policy = Self.policy(.requests(2, window: .seconds(60)))
        var counts = LimitCounts()
        for time in [1_000, 11_000] as [Int64] {
            #expect(counts.admit(try PolicyTests.request(producer: "a"), policy, Self.at(time)) == nil)
        }
        let refusal = counts.admit(try PolicyTests.request(producer: "a"), policy, Self.at(12_000))
        #expect(refusal?.rule == "few" && refusal?.field == "requested_by")
        #expect(
            refusal?.text
                == "exceeds the policy's 2 requests in 60 s (few): 2 are used, and there is room at 1970-01-01T00:01:01.000Z"
        )
        #expect(counts.admit(try PolicyTests.request(producer: "b"), policy, Self.at(12_000)) == nil)
        #expect(counts.admit(try PolicyTests.request(producer: "a"), policy, Self.at(61_000)) == nil)
    }

    @Test func `a request that no window can hold is never promised room`() throws {
        var counts = LimitCounts()
        let request = try PolicyTests.request(hosts: ["a", "b", "c"])
        let refusal = counts.admit(request, Self.policy(.hosts(2, window: .seconds(60))), Self.at(0))
        #expect(refusal?.text.hasSuffix("(few): never allowed with 3") ?? false)
    }

    @Test func `a refused request counts nowhere, and operate_all counts no hosts`() throws {
        var policy = Self.policy(.hosts(2, window: .seconds(60)))
        policy.limits.insert(Policy.Limit("all", .requests(3, window: .seconds(60))), at: 0)
        var counts = LimitCounts()
        #expect(counts.admit(try PolicyTests.request(hosts: ["a", "b"]), policy, Self.at(0)) == nil)
        #expect(counts.admit(try PolicyTests.request(), policy, Self.at(0))?.rule == "few")
        #expect(counts.admit(try PolicyTests.request(operateAll: true), policy, Self.at(0)) == nil)
        #expect(counts.admit(try PolicyTests.request(project: "q"), policy, Self.at(0)) == nil)
        #expect(counts.admit(try PolicyTests.request(project: "r"), policy, Self.at(0))?.rule == "all")
    }

    @Test func `forged producers take no memory, and share one count`() throws {
        let policy = Self.policy(.requests(2, window: .seconds(3600)))
        var counts = LimitCounts()
        var refused = 0
        for number in 0..<(LimitCounts.maximumSubjects + 50) {
            let request = try PolicyTests.request(producer: "forged-\(number)")
            if counts.admit(request, policy, Self.at(Int64(number))) != nil { refused += 1 }
        }
        #expect(counts.subjectCount == LimitCounts.maximumSubjects + 1)
        #expect(refused == 48)
        // Those that were counted apart before keep their count.
        #expect(counts.admit(try PolicyTests.request(producer: "forged-1"), policy, Self.at(20_000)) == nil)
        // Once they are over, there is room again.
        let later = Self.at(100_000_000)
        #expect(counts.admit(try PolicyTests.request(producer: "new"), policy, later) == nil)
        #expect(counts.subjectCount == 1)
    }

    @Test func `a new policy keeps the counts of the limits that it still has`() throws {
        let policy = Self.policy(.requests(1, window: .seconds(60)))
        var counts = LimitCounts()
        #expect(counts.admit(try PolicyTests.request(), policy, Self.at(0)) == nil)
        counts.keep(policy)
        #expect(counts.admit(try PolicyTests.request(), policy, Self.at(1)) != nil)
        counts.keep(Policy())
        #expect(counts.isEmpty)
    }

    // MARK: In the pipeline

    @Test func `repeats and conflicts count in no window, and a refused key stays free`() {
        var harness = PipelineHarness { $0.policy = Self.policy(.requests(2, window: .seconds(60))) }
        harness.receive(key: "a")
        harness.receive(key: "a")
        harness.answer(200)
        harness.receive(key: "a")
        harness.receive(key: "a", hosts: ["other"])
        harness.receive(key: "b")
        harness.receive(key: "c")
        #expect(harness.statuses == [.succeeded, .duplicate, .duplicate, .conflict, .rejected])
        #expect(harness.results.last?.failure?.code == "policy")
        #expect(harness.results.last?.failure?.detail?.contains("(few)") ?? false)
        #expect(harness.calls.map(\.hostIDs) == [["h1"]], "only b")
        harness.pass(.seconds(62))
        harness.receive(key: "c")
        #expect(harness.calls.count == 2)
    }

    @Test func `a request that comes back after a rebalance is counted once`() {
        var harness = PipelineHarness {
            $0.policy = Self.policy(.requests(1, window: .seconds(600)))
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
        }
        harness.receive(key: "a")
        harness.lose()
        harness.hand(.revoked([0], isLost: true, deadline: harness.now.uptime))
        harness.hand(.assigned(0, Ledger()))
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: harness.now.wall, key: nil,
            value: Array(
                #"{"idempotency_key":"a","project_id":"p","plugin_code":"ndr","host_id_list":["h1"]}"#.utf8))
        harness.hand(.received([record]))
        #expect(harness.results.isEmpty && harness.pipeline.openCount == 1)
    }

    @Test func `a dry run makes no call, tells what would be done, and leaves the key free`() {
        var harness = PipelineHarness { $0.policy.isDryRun = true }
        harness.receive(key: "a", hosts: ["h1", "h2"])
        harness.receive(key: "a", hosts: ["h1", "h2"])
        #expect(harness.calls.isEmpty && harness.statuses == [.rejected, .rejected])
        let failure = harness.results.first?.failure
        #expect(failure?.code == "dry-run" && failure?.category == .policy)
        #expect(
            failure?.detail
                == "would start ndr on 2 hosts of project p; allowed by default, without a call (dry-run)")
        harness.hand(.policyChanged(Policy()))
        harness.receive(key: "a", hosts: ["h1", "h2"])
        harness.answer(200)
        #expect(harness.statuses.last == .succeeded)
    }

    @Test func `a new policy applies to requests that are admitted after it`() {
        var harness = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        harness.receive(key: "a", hosts: ["h1"])
        harness.receive(key: "b", hosts: ["h2"])
        var policy = Policy()
        policy.rules = [PolicyTests.rule("none", .deny)]
        harness.hand(.policyChanged(policy))
        harness.receive(key: "c")
        #expect(harness.results.map(\.status) == [.rejected])
        harness.settle()
        #expect(harness.statuses == [.rejected, .succeeded, .succeeded])
    }
}
