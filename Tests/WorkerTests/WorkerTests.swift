import Testing

@testable import Core
@testable import Kafka
@testable import Worker

@Suite struct WorkerTests {
    static let preflight = Preflight(
        kafka: ClientConfiguration(bootstrapServers: "b:1"), requestsTopic: "q", resultsTopic: "r")

    @Test(arguments: [
        (["q": 4, "r": 4], nil as String?), (["q": 4, "r": 8], nil), (["r": 4], "there is no topic q"),
        (["q": 4], "there is no topic r"), (["q": 4, "r": 3], "r has 3 partitions and q has 4"),
    ]) func `the topics have to be there and fit`(_ counts: [String: Int], _ says: String?) {
        switch Self.preflight.judge(counts) {
        case .success(let partitions): #expect(says == nil && partitions == 4)
        case .failure(let failure):
            #expect(failure.exitCode == 64)
            #expect(failure.message.contains(says ?? "nothing"))
        }
    }

    static func router(turned: Duration, notReady: [String]) -> AdminRouter {
        AdminRouter(box: SnapshotBox(Snapshot(turnedAt: turned, notReady: notReady, metrics: Metrics())))
    }

    @Test func `liveness asks whether the loop turns, readiness why no work is done`() {
        let working = Self.router(turned: .seconds(100), notReady: [])
        #expect(working.answer(method: "GET", path: "/livez", uptime: .seconds(101)).status == 200)
        #expect(working.answer(method: "GET", path: "/livez", uptime: .seconds(120)).status == 503)
        #expect(working.answer(method: "GET", path: "/readyz", uptime: .seconds(101)).status == 200)
        let idle = Self.router(turned: .seconds(100), notReady: ["no partition is assigned yet"])
        let answer = idle.answer(method: "GET", path: "/readyz", uptime: .seconds(101))
        #expect(answer.status == 503)
        #expect(answer.body == "not ready: no partition is assigned yet\n")
        #expect(working.answer(method: "POST", path: "/livez", uptime: .zero).status == 405)
        #expect(working.answer(method: "GET", path: "/", uptime: .zero).status == 404)
    }

    @Test func `every family of the metrics has help, type and the project's prefix`() {
        var metrics = Metrics()
        metrics.requestSeconds.observe(0.02)
        metrics.requestSeconds.observe(7200)
        let lines = metrics.text.split(separator: "\n")
        for line in lines where !line.hasPrefix("#") { #expect(line.hasPrefix("plugin_starter_")) }
        #expect(lines.filter { $0.hasPrefix("# HELP") }.count == lines.filter { $0.hasPrefix("# TYPE") }.count)
        #expect(metrics.text.contains("plugin_starter_request_seconds_bucket{le=\"0.025\"} 1"))
        #expect(metrics.text.contains("plugin_starter_request_seconds_bucket{le=\"+Inf\"} 2"))
    }
}
