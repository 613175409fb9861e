import Testing

@testable import Audit
@testable import Core

@Suite struct AuditStateTests {
    static let rules = PartitionAudit.Rules(requestsTopic: History.topic, dedupeWindow: .seconds(600))

    static func bytes(_ state: AuditState) -> [UInt8] {
        var bytes: [UInt8] = []
        state.write { bytes += $0 + [10] }
        return bytes
    }

    static func fresh() -> PartitionAudit { PartitionAudit(partition: 0, rules: rules, requests: 0, results: 0) }

    /// Writes an audit to a file and reads it back.
    static func reread(_ audit: PartitionAudit) throws -> PartitionAudit {
        let state = AuditState(rules: rules, resultsTopic: "r", partitions: [0: audit])
        let again = try AuditState(reading: bytes(state))
        #expect(again.rules == rules && again.resultsTopic == "r")
        return try #require(again.partitions[0])
    }

    @Test func `an audit resumed from a file finds what an uninterrupted audit finds`() throws {
        for seed in 0..<20 as Range<UInt64> {
            var whole = Play.history(seed: seed, requests: 80)
            whole.append(whole.results[20])
            whole.turn(whole.results.count - 1, into: .expired)
            whole.results.swapAt(40, 41)
            for index in whole.results.indices { whole.results[index].position.offset = Int64(index) }
            whole.results.remove(at: 60)
            let expected = whole.audit()
            #expect(expected.count > 1)

            var audit = Self.fresh()
            var found: [Violation] = []
            var part = whole
            part.results = []
            for (index, record) in whole.results.enumerated() {
                part.results.append(record)
                guard index % 25 == 24 else { continue }
                // As in the command, no more requests are read than the results need.
                part.requests = whole.requests.filter { request in
                    part.results.indices.contains { part.request($0) >= request.position.offset }
                }
                found += part.go(on: &audit, olderThan: .seconds(1_000_000))
                audit = try Self.reread(audit)
            }
            found += whole.go(on: &audit)
            #expect(found == expected, "seed \(seed)")
        }
    }

    @Test func `an open request stays open`() throws {
        var history = Play.history(seed: 3, requests: 40)
        let last = history.results.removeLast()
        var audit = Self.fresh()
        #expect(history.go(on: &audit, olderThan: .seconds(1_000_000)).map(\.rule) == [])
        #expect(audit.findings.open == 1)
        audit = try Self.reread(audit)
        history.results.append(last)
        #expect(history.go(on: &audit) == [])
        #expect(audit.findings.open == 0)
        audit = try Self.reread(audit)
        history.append(last)
        #expect(history.go(on: &audit).map(\.rule) == [.repeated])
    }

    @Test func `a truncated, damaged or unrelated file is refused`() throws {
        var audit = Self.fresh()
        _ = Play.history(seed: 3, requests: 40).go(on: &audit)
        let whole = Self.bytes(AuditState(rules: Self.rules, resultsTopic: "r", partitions: [0: audit]))
        let lines = whole.split(separator: 10).map { Array($0) + [10] }
        #expect(lines.count > 5)
        var bad = [[], Array("{}\n".utf8), Array("key: value\n".utf8), Array(whole.dropLast(9)), whole + lines[1]]
        for gone in lines.indices { bad.append(Array(lines[..<gone].joined()) + Array(lines[(gone + 1)...].joined())) }
        for bytes in bad {
            #expect(throws: AuditState.Fault.self) { try AuditState(reading: bytes) }
        }
    }

    @Test func `mutated files never trap`() {
        var audit = Self.fresh()
        _ = Play.history(seed: 3, requests: 20).go(on: &audit)
        let whole = Self.bytes(AuditState(rules: Self.rules, resultsTopic: "r", partitions: [0: audit]))
        var generator = SplitMix64(seed: 5)
        var refused = 0
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0x20...0x7E, using: &generator)
            }
            do { _ = try AuditState(reading: bytes) } catch { refused += 1 }
        }
        #expect(refused > 50)
    }

    @Test func `entries older than the window are forgotten`() {
        var history = History()
        var audit = Self.fresh()
        for day in 0..<40 as Range<Int64> {
            var play = Play(seed: UInt64(day))
            for _ in 0..<10 { play.request() }
            history = play.end()
            // The same day again, at later times and later offsets.
            for index in history.requests.indices {
                var request = history.requests[index]
                request.position.offset += day * 10
                audit.take(request: request)
            }
            for var record in history.results {
                record.position.offset += day * 10
                var later = History()
                later.results = [record]
                let time = Timestamp(milliseconds: 1_767_225_600_000 + day * 3_600_000).description
                later.set(0, ["request", "offset"], .integer(later.request(0) + day * 10))
                later.set(0, ["completed_at"], .string(time))
                later.results[0].timestamp = Timestamp(rfc3339: time)
                _ = audit.take(result: later.results[0], ResultReading.read(later.results[0]))
            }
        }
        #expect(audit.open.isEmpty)
        #expect(audit.outcomes.all.count <= 20)
        #expect(audit.answers.statuses.count <= 30)
        #expect(audit.answers.base >= 370)
    }
}
