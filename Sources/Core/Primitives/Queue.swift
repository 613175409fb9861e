/// A first-in, first-out queue. Both ends are amortised O(1). It is an array whose consumed
/// front is removed occasionally.
struct Queue<Element> {
    private var storage: [Element] = []
    private var head = 0

    var isEmpty: Bool { head == storage.count }
    var count: Int { storage.count - head }
    var first: Element? { isEmpty ? nil : storage[head] }
    var last: Element? { isEmpty ? nil : storage.last }
    var elements: ArraySlice<Element> { storage[head...] }

    mutating func append(_ element: Element) { storage.append(element) }

    mutating func prepend(contentsOf elements: [Element]) {
        if elements.count == 1 && head > 0 {
            head -= 1
            storage[head] = elements[0]
        } else {
            storage.replaceSubrange(0..<head, with: elements)
            head = 0
        }
    }

    mutating func removeAll(where isGone: (Element) -> Bool) {
        storage = elements.filter { !isGone($0) }
        head = 0
    }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard let element = first else { return nil }
        head += 1
        if head >= 64 && head * 2 >= storage.count {
            storage.removeFirst(head)
            head = 0
        }
        return element
    }

    /// The element at a position counted from the front.
    subscript(place: Int) -> Element {
        get { storage[head + place] }
        // Modifies in place. A setter would copy an element that is an array at each change to it.
        _modify { yield &storage[head + place] }
    }
}

extension Queue: Sendable where Element: Sendable {}
