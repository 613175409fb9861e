import Testing

@testable import Core

@Suite struct AnsweredRecordsTests {
    private static func identity(_ number: Int64) -> Fingerprint { LedgerTests.key(UInt64(bitPattern: number)) }

    @Test func `inserted records are found, in any order, several at an offset`() {
        var generator = SplitMix64(seed: 8)
        var answered = AnsweredRecords(0..<4_000)
        var model: [Int64: Set<Int64>] = [:]
        for step in 0..<3_000 as Range<Int64> {
            let offset = Int64.random(in: 0..<4_000, using: &generator)
            answered.insert(offset, Self.identity(step))
            model[offset, default: []].insert(step)
        }
        for offset in -1...4_001 as ClosedRange<Int64> { #expect(answered.holds(offset) == (model[offset] != nil)) }
        for step in 0..<3_000 as Range<Int64> { #expect(answered.contains(Self.identity(step))) }
        #expect(!answered.contains(Self.identity(3_000)))
        #expect(answered.count(below: 2_000) == model.keys.count { $0 < 2_000 })
    }

    @Test func `results of records that are committed or were never written are not kept`() {
        var answered = AnsweredRecords(100..<200)
        for offset in [0, 99, 200, .max] as [Int64] { answered.insert(offset, Self.identity(offset)) }
        #expect(answered.count == 0)
        answered.insert(100, Self.identity(1))
        #expect(answered.holds(100))
    }

    @Test func `descending forged offsets cost no more than others, and the earliest are forgotten`() {
        var answered = AnsweredRecords(0..<Int64.max, limit: 1_000)
        for offset in (0..<300_000 as Range<Int64>).reversed() { answered.insert(offset, Self.identity(offset)) }
        #expect(answered.count <= 1_000)
        #expect(answered.forgotten == 300_000 - answered.count)
        #expect(answered.contains(Self.identity(0)) && !answered.contains(Self.identity(299_999)))
    }

    @Test func `nothing is kept once the records above are read`() {
        var answered = AnsweredRecords(0..<100)
        for offset in 0..<10 as Range<Int64> { answered.insert(offset, Self.identity(offset)) }
        answered.passed(9)
        #expect(answered.count == 10)
        answered.passed(10)
        #expect(answered.count == 0 && !answered.holds(3))
    }
}
