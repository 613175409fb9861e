import Foundation
import Testing

@testable import Core
@testable import Kafka
@testable import Worker

@Suite struct WorkerTests {
    static let preflight = Preflight(
        kafka: ClientConfiguration(bootstrapServers: "b:1", properties: [("sasl.username", "ann")]),
        requestsTopic: "q", resultsTopic: "r", dedupeWindow: .seconds(86_400))

    @Test(arguments: [
        (TopicState.there(partitions: 4), TopicState.there(partitions: 4), nil as String?, 0 as Int32),
        (.there(partitions: 4), .there(partitions: 8), nil, 0),
        (.missing, .there(partitions: 4), "there is no topic q", 64),
        (.there(partitions: 4), .missing, "--create --topic r", 64),
        (.there(partitions: 4), .there(partitions: 3), "r has 3 partitions and q has 4", 64),
        (.hidden, .there(partitions: 4), "user ann lacks READ permission on topic q: run kafka-acls.sh", 77),
    ]) func `both topics must exist and have matching partitions`(
        _ requests: TopicState, _ results: TopicState, _ says: String?, _ code: Int32
    ) {
        switch Self.preflight.judge(requests: requests, results: results) {
        case .success(let counts): #expect(says == nil && counts.requests == 4)
        case .failure(let failure):
            #expect(failure.exitCode == code)
            #expect(failure.message.contains(says ?? "nothing"))
        }
    }

    @Test(arguments: [
        ([:], nil as String?), (["cleanup.policy": "delete", "retention.ms": "86400000"], nil),
        (["retention.ms": "-1"], nil),
        (["cleanup.policy": "compact"], "--entity-name r --add-config cleanup.policy=delete"),
        (["cleanup.policy": "compact,delete"], "--add-config cleanup.policy=delete"),
        (["retention.ms": "86399999"], "--add-config retention.ms=86400000"),
    ]) func `a results topic that loses results within the window is refused, with the command that fixes it`(
        _ settings: [String: String], _ says: String?
    ) throws {
        switch Self.preflight.judge(settings) {
        case .success(let notes): #expect(says == nil && notes.isEmpty)
        case .failure(let failure):
            #expect(failure.exitCode == 64)
            #expect(failure.message.hasSuffix(says ?? "nothing"), "\(failure.message)")
        }
        #expect(try Self.preflight.judge(["retention.bytes": "1000"]).get().count == 1)
    }

    static func router(turned: Uptime, notReady: [String]) -> AdminRouter {
        AdminRouter(box: SnapshotBox(Snapshot(turnedAt: turned, notReady: notReady, metrics: Metrics())))
    }

    @Test func `livez shows whether the loop runs, readyz why no work is done`() {
        let working = Self.router(turned: Uptime(.seconds(100)), notReady: [])
        #expect(working.answer(method: "GET", path: "/livez", uptime: Uptime(.seconds(101))).status == 200)
        #expect(working.answer(method: "GET", path: "/livez", uptime: Uptime(.seconds(120))).status == 503)
        #expect(working.answer(method: "GET", path: "/readyz", uptime: Uptime(.seconds(101))).status == 200)
        let idle = Self.router(turned: Uptime(.seconds(100)), notReady: ["no partition is assigned yet"])
        let answer = idle.answer(method: "GET", path: "/readyz", uptime: Uptime(.seconds(101)))
        #expect(answer.status == 503)
        #expect(answer.body == "not ready: no partition is assigned yet\n")
        #expect(working.answer(method: "POST", path: "/livez", uptime: .zero).status == 405)
        #expect(working.answer(method: "GET", path: "/", uptime: .zero).status == 404)
    }

    @Test func `the metrics are in both formats, and the docs' table has each of them`() throws {
        var metrics = Metrics()
        metrics.requestSeconds.observe(0.02)
        metrics.requestSeconds.observe(7200)
        metrics.requests[.init(status: .failed, category: .host)] = 3
        (metrics.callsSent, metrics.requestsCalled, metrics.freeSlots) = (2, 9, 4)
        let text = MetricTable.text(metrics, .read(), .prometheus)
        let lines = text.split(separator: "\n")
        for line in lines where !line.hasPrefix("#") {
            #expect(line.hasPrefix("plugin_starter_") || line.hasPrefix("process_"))
        }
        #expect(lines.filter { $0.hasPrefix("# HELP") }.count == MetricTable.families.count)
        for sample in [
            #"request_seconds_bucket{le="0.025"} 1"#, #"request_seconds_bucket{le="+Inf"} 2"#,
            #"requests_total{status="failed",category="host"} 3"#, "calls_saved_total 7", "quota_slots_free 4",
            #"requests_total{status="succeeded",category=""} 0"#, #"oldest_waiting_seconds{priority="bulk"} 0.0"#,
        ] { #expect(lines.contains("plugin_starter_\(sample)"), "\(sample)") }
        let figures = ProcessFigures.read()
        #expect(figures.residentBytes > 1 << 20 && figures.openFiles > 2 && figures.startedAt > 1_700_000_000)
        let open = MetricTable.text(metrics, figures, .openMetrics)
        #expect(open.contains("# TYPE plugin_starter_calls_saved counter\nplugin_starter_calls_saved_total 7\n"))
        #expect(open.hasSuffix("# EOF\n"))
    }

    @Test func `the docs' table of metrics is up to date`() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/operations.md")
        var text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: "| name | type | is |\n")?.lowerBound)
        let end = try #require(text.range(of: "\n\n", range: start..<text.endIndex)?.lowerBound)
        if ProcessInfo.processInfo.environment["UPDATE_EXAMPLES"] == "1" {
            text.replaceSubrange(start...end, with: MetricTable.markdown)
            try text.write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text[start...end] == MetricTable.markdown)
        }
    }
}
