import Testing

@testable import Core

@Suite struct OffsetTrackerTests {
    @Test func `finished records behind an open one are not kept one by one`() {
        var tracker = OffsetTracker()
        for offset in 0..<200_000 as Range<Int64> {
            _ = tracker.open(offset)
            if offset > 0 { _ = tracker.done(offset) }
        }
        #expect(tracker.heldCount < 200 && tracker.openCount == 1 && tracker.firstOpen == 0)
        let committable = tracker.done(0)
        #expect(committable == 200_000)
    }

    @Test func `it commits up to the first open record, as a set of open offsets would`() {
        var generator = SplitMix64(seed: 3)
        var tracker = OffsetTracker()
        var open: Set<Int64> = []
        var next: Int64 = 0
        for _ in 0..<20_000 {
            if Bool.random(using: &generator) || open.isEmpty {
                next += Int64.random(in: 1...3, using: &generator)
                _ = tracker.open(next)
                open.insert(next)
                continue
            }
            let offset = open.randomElement(using: &generator) ?? 0
            let wasFirst = offset == open.min()
            open.remove(offset)
            let moved = tracker.done(offset)
            #expect((moved != nil) == wasFirst)
            if wasFirst { #expect(moved == open.min() ?? next + 1) }
            let again = tracker.done(offset)
            #expect(again == nil)
            #expect(tracker.openCount == open.count && tracker.heldCount <= 2 * open.count + 66)
            if open.count > 300 {
                for offset in open.sorted().dropFirst(50) { _ = (tracker.done(offset), open.remove(offset)) }
            }
        }
    }
}
