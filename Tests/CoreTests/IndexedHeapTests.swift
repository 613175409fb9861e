import Testing

@testable import Core

@Suite struct IndexedHeapTests {
    @Test func `the first id has the smallest key after any changes`() {
        var heap = IndexedHeap<Int, Int>()
        var keys: [Int: Int] = [:]
        var generator = SplitMix64(seed: 1)
        for _ in 0..<20_000 {
            let id = Int.random(in: 0..<60, using: &generator)
            if Int.random(in: 0..<3, using: &generator) == 0 {
                heap.remove(id)
                keys[id] = nil
            } else {
                let key = Int.random(in: 0..<1000, using: &generator)
                heap.set(id, key)
                keys[id] = key
            }
            #expect(heap.count == keys.count && heap.isEmpty == keys.isEmpty)
            #expect(heap.first?.key == keys.values.min())
            #expect(heap.first.map { keys[$0.id] == $0.key } ?? true)
        }
    }
}
