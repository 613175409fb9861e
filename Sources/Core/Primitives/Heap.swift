/// A binary heap with the smallest element first.
struct Heap<Element: Comparable> {
    private var storage: [Element] = []

    var first: Element? { storage.first }
    var count: Int { storage.count }

    mutating func insert(_ element: Element) {
        storage.append(element)
        var child = storage.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard storage[child] < storage[parent] else { break }
            storage.swapAt(child, parent)
            child = parent
        }
    }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard let last = storage.popLast() else { return nil }
        guard let first = storage.first else { return last }
        storage[0] = last
        var parent = 0
        while true {
            var child = parent * 2 + 1
            guard child < storage.count else { break }
            if child + 1 < storage.count, storage[child + 1] < storage[child] { child += 1 }
            guard storage[child] < storage[parent] else { break }
            storage.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
