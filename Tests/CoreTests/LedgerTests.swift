import Testing

@testable import Core

@Suite struct LedgerTests {
    static func key(_ number: UInt64) -> Fingerprint {
        var generator = SplitMix64(seed: number)
        return Fingerprint(high: generator.next(), low: generator.next())
    }

    static func outcome(_ offset: Int64, seconds: Int64, status: Status = .succeeded) -> Ledger.Outcome {
        Ledger.Outcome(
            status: status, offset: offset, fingerprint: key(UInt64(offset) + 1_000_000),
            completedAt: Timestamp(milliseconds: seconds * 1000), failure: nil)
    }

    @Test func `the table behaves like a dictionary, through growth, replacement and expiry`() {
        var generator = SplitMix64(seed: 5)
        var ledger = Ledger()
        var model: [Fingerprint: (offset: Int64, seconds: Int64)] = [:]
        for step in 0..<40_000 {
            let seconds = Int64(step / 10)
            let key = Self.key(.random(in: 0..<6_000, using: &generator))
            ledger.remember(Self.outcome(Int64(step), seconds: seconds), for: key)
            model[key] = (Int64(step), seconds)
            if step % 1000 == 999 {
                let horizon = seconds - 400
                ledger.expire(before: Timestamp(milliseconds: horizon * 1000))
                model = model.filter { $0.value.seconds >= horizon }
                for number in 0..<6_000 as Range<UInt64> {
                    let key = Self.key(number)
                    let found = ledger.outcome(
                        for: key, now: Timestamp(milliseconds: seconds * 1000), window: .seconds(100_000))
                    #expect(found?.offset == model[key]?.offset)
                }
            }
        }
        #expect(model.count > 100)
    }

    @Test(arguments: Status.allCases) func `an entry is read as it was written`(_ status: Status) throws {
        let result = try #require(ResultExampleTests.results().first { $0.status == status })
        let record = ResultWriter(requestsTopic: "t").record(result)
        let header = try #require(record.headers.first { $0.name == LedgerEntry.header }?.value)
        #expect(LedgerEntry(header) == LedgerEntry(result, topic: "t"))
    }

    @Test func `mutated entries never trap, and most are refused`() throws {
        let result = try #require(ResultExampleTests.results().first { $0.status == .failed })
        let good = LedgerEntry(result, topic: "t").bytes
        var generator = SplitMix64(seed: 9)
        var refused = 0
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                if Bool.random(using: &generator) {
                    bytes[place] = .random(in: 0...255, using: &generator)
                } else {
                    bytes.remove(at: place)
                }
            }
            guard let entry = LedgerEntry(bytes) else {
                refused += 1
                continue
            }
            var ledger = Ledger()
            ledger.restore(entry)
        }
        #expect(refused > 5_000)
    }

    @Test func `a restored ledger answers as before, and its records get no second result`() {
        var before = PipelineHarness()
        before.receive(key: "good")
        before.answer(200)
        before.receive(key: "refused", hosts: ["h2"])
        before.answer(400, code: "HSS.1001", text: "no agent")
        var ledger = Ledger()
        for result in before.results {
            ledger.restore(LedgerEntry(result, topic: ""))
        }

        var after = PipelineHarness(partitions: [])
        after.hand(.assigned(0, ledger))
        after.receive(key: "good")
        after.receive(key: "refused", hosts: ["h2"])
        #expect(after.results.isEmpty && after.calls.isEmpty)
        #expect(after.stored == [0: 2])
        after.receive(key: "good")
        after.receive(key: "refused", hosts: ["h2"])
        after.receive(key: "good", hosts: ["another"])
        #expect(after.statuses == [.duplicate, .duplicate, .conflict])
        #expect(after.results[1].failure?.code == "HSS.1001")
        #expect(after.results[1].failure?.title == "The host has no agent")
    }

    @Test func `a key of one project is no key of another, whatever the texts`() {
        var bench = PipelineHarness()
        bench.receive(key: #"x\u0000k"#, project: "p")
        bench.receive(key: "k", project: #"p\u0000x"#)
        bench.settle()
        #expect(bench.statuses == [.succeeded, .succeeded])
    }

    @Test func `a result with a time in the future does not keep later entries`() throws {
        var ledger = Ledger()
        let now = Timestamp(milliseconds: 1_767_225_600_000)
        for (offset, ahead) in [(0, 86_400 * 365), (1, 0), (2, 0)] as [(Int64, Int64)] {
            let key = Self.key(UInt64(offset))
            let time = (now + .seconds(ahead)).milliseconds
            let text = "1;0/\(offset);succeeded;\(key);\(key);;0;;;\(time)"
            ledger.restore(try #require(LedgerEntry(Array(text.utf8))), now: now)
        }
        ledger.expire(before: now + .seconds(1))
        #expect(ledger.count == 0)
    }
}
