import Testing

@testable import Core
@testable import Reporting

@Suite struct SummaryTests {
    static func result(_ status: String, at second: Int64, code: String? = nil) -> JSON {
        var members: [JSON.Member] = [
            .init("status", .string(status)), .init("plugin_code", .string("ndr")),
            .init("completed_at", .string(Timestamp(milliseconds: 1_767_225_600_000 + second * 1000).description)),
        ]
        if let code { members.append(.init("error", .object([.init("code", .string(code))]))) }
        return .object(members)
    }

    @Test func `counts by status, code and plugin, and over time`() throws {
        var summary = ResultSummary()
        for second in 0..<90 { summary.add(Self.result("succeeded", at: Int64(second))) }
        for second in 0..<10 { summary.add(Self.result("failed", at: 600 + Int64(second), code: "HSS.1001")) }
        let text = summary.text(width: 80)
        let lines = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines.first == ["100", "results"])
        #expect(lines.contains(["succeeded", "90"]) && lines.contains(["HSS.1001", "10"]))
        #expect(lines.contains(["ndr", "100"]))
        // Eleven steps of a minute: 60 and 30 that succeeded, nothing, then 10 that failed.
        let plot = lines.filter { $0.first == "2026-01-01" }
        #expect(plot.map { $0.last ?? "" } == ["60", "30", "0", "0", "0", "0", "0", "0", "0", "0", "10"])
        #expect(plot[0][2] == String(repeating: "#", count: 48))
        #expect(plot[1][2] == String(repeating: "#", count: 24))
        #expect(plot[2].count == 3)
        #expect(plot[10][2] == String(repeating: "x", count: 8))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
        let json = summary.json
        #expect(json["status"] == .object([.init("succeeded", .integer(90)), .init("failed", .integer(10))]))
        let steps = json["over_time"]?.array ?? []
        #expect(steps.reduce(0) { $0 + ($1["results"]?.integer ?? 0) } == 100)
        #expect(steps.reduce(0) { $0 + ($1["not_succeeded"]?.integer ?? 0) } == 10)
    }

    @Test func `a series over years is bounded and loses nothing`() {
        var series = TimeSeries()
        for day in 0..<4000 {
            series.add(Timestamp(milliseconds: Int64(day) * 86_400_000 + 5), isUnsuccessful: day % 4 == 0)
        }
        let (length, rows) = series.rows(atMost: 20)
        #expect(rows.count <= 20 && rows.count > 5)
        #expect(length == 364 * 86_400)
        #expect(rows.reduce(0) { $0 + $1.step.all } == 4000)
        #expect(rows.reduce(0) { $0 + $1.step.unsuccessful } == 1000)
        #expect(series.rows(atMost: 5000).rows.count <= 1000)
    }

    @Test func `different names are bounded, and the rest is counted together`() {
        var histogram = Histogram()
        for number in 0..<1500 { histogram.add("code-\(number)") }
        for _ in 0..<5 { histogram.add("code-7") }
        #expect(histogram.sorted.first?.name == "code-7" && histogram.sorted.first?.count == 6)
        #expect(histogram.sorted.last?.name == "(other)" && histogram.sorted.last?.count == 500)
        #expect(histogram.sorted.reduce(0) { $0 + $1.count } == 1505)
    }

    @Test(arguments: [1, 2, 3, 7, 64]) func `lines are the same however the bytes arrive`(_ size: Int) {
        let bytes = Array("{\"a\":1}\n\n  \r\n{\"b\":2}\r\nlast".utf8)
        var lines = RequestLines()
        var found: [RequestLines.Line] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            found += lines.take(bytes[start..<min(bytes.count, start + size)])
        }
        found += lines.finish()
        #expect(found.map(\.number) == [1, 4, 5])
        #expect(found.map { String(decoding: $0.bytes, as: UTF8.self) } == ["{\"a\":1}", "{\"b\":2}\r", "last"])
        #expect(lines.finish().isEmpty)
    }

    @Test func `a line without an end is too long at some point`() {
        var lines = RequestLines()
        _ = lines.take([UInt8](repeating: 0x61, count: RequestLines.maximumBytes))
        #expect(!lines.isTooLong)
        _ = lines.take([0x61])
        #expect(lines.isTooLong && lines.nextNumber == 1)
    }
}
