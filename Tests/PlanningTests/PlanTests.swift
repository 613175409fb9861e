import Core
import Testing

@testable import Planning

@Suite struct PlanTests {
    struct Request {
        var at = 0.0
        var project = "p"
        var plugin = "ndr"
        var host: String
        var priority = Priority.normal
    }

    static func plan(_ requests: [Request], _ change: (inout Pipeline.Configuration) -> Void) -> Plan {
        var configuration = Pipeline.Configuration(quota: RateLimit(calls: 5, window: .seconds(60)))
        change(&configuration)
        let records = requests.enumerated().map { number, request in
            let value =
                #"{"idempotency_key":"k\#(number)","project_id":"\#(request.project)","plugin_code":"\#(request.plugin)","#
                + #""host_id_list":["\#(request.host)"],"priority":"\#(request.priority.rawValue)"}"#
            return Record(
                position: Position(partition: 0, offset: Int64(number)),
                timestamp: Timestamp(milliseconds: Int64(request.at * 1000)), key: nil, value: Array(value.utf8))
        }
        let now = Now(uptime: Uptime(.seconds(1000)), wall: Timestamp(milliseconds: 0))
        return Plan(records, configuration, hosts: nil, now: now, atOnce: false)
    }

    /// When a call for this host goes, in seconds.
    static func calls(_ plan: Plan, _ host: String) -> [Double] {
        plan.calls.filter { $0.call.hostIDs.contains(host) }.map(\.at.seconds)
    }

    @Test func `a project that waited for the answers of others is called once a slot is free`() {
        let requests =
            ["z", "a", "b", "c"].map { Request(project: $0, host: "h") }
            + [Request(project: "z", plugin: "other", host: "h")]
        for pacing in [0.0, 1] {
            let plan = Self.plan(requests) {
                $0.quota = RateLimit(calls: 4, window: .seconds(60))
                $0.pacing = pacing
            }
            #expect(plan.unanswered == 0 && plan.results.count == 5)
        }
    }

    @Test func `a full intake does not stop a plan`() {
        let requests =
            ["z", "a", "b", "c"].map { Request(project: $0, host: "h", priority: .critical) }
            + [Request(project: "z", plugin: "other", host: "h", priority: .critical)]
            + (0..<7).map { Request(project: "c", host: "h\($0)", priority: .critical) }
        let plan = Self.plan(requests) {
            $0.quota = RateLimit(calls: 4, window: .seconds(60))
            $0.maximumOpen = 5
        }
        #expect(plan.unanswered == 0 && plan.results.count == 12)
    }

    @Test func `a host that was refused takes no slot that pacing keeps for others`() throws {
        let requests = [
            Request(host: "unknown-1"), Request(at: 5, host: "h2"), Request(at: 20, host: "h3"),
            Request(at: 20.5, host: "unknown-1"),
        ]
        let plan = Self.plan(requests) {
            $0.quota = RateLimit(calls: 3, window: .seconds(60))
            $0.pacing = 1
        }
        let sound = try #require(Self.calls(plan, "h3").first)
        let faulty = Self.calls(plan, "unknown-1")
        #expect(sound < 60 && faulty.count == 2 && sound < faulty[1])
    }

    @Test func `requests for one host share a call, however many they are`() {
        let plan = Self.plan((0..<300).map { Request(at: Double($0) / 300, host: "h") }) {
            $0.hostsPerCall = 10
            $0.pacing = 1
        }
        #expect(plan.calls.count <= 3 && plan.unanswered == 0)
    }

    @Test func `a plan names the rule that decides about each request, also that of a full window`() {
        let requests =
            (0..<4).map { Request(project: "a", host: "h\($0)") } + [Request(project: "b", host: "h")]
            + [Request(at: 100, project: "c", host: "h")]
        let plan = Self.plan(requests) {
            var deny = Policy.Rule("no-b", .deny)
            deny.selector.projects = ["b"]
            $0.policy.rules = [deny]
            $0.policy.limits = [Policy.Limit("few-hosts", .hosts(3, window: .seconds(60)))]
            let (from, to) = (Timestamp(milliseconds: 90_000), Timestamp(milliseconds: 200_000))
            $0.policy.maintenance = [Maintenance("freeze", .once(from..<to))]
        }
        #expect(
            PolicyTally(plan.decisions.values).rows == [
                .init(rule: "default", verdict: .allowed, requests: 4),
                .init(rule: "few-hosts", verdict: .refused, requests: 1),
                .init(rule: "freeze", verdict: .waits, requests: 1),
                .init(rule: "no-b", verdict: .refused, requests: 1),
            ])
        #expect(plan.results.filter { $0.status == .rejected }.count == 2 && plan.results.count == 6)
        #expect(Self.calls(plan, "h") == [200])
    }
}
