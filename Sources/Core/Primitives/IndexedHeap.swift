/// A binary heap of ids whose keys can change, with the smallest key first. Each change is O(log n).
struct IndexedHeap<ID: Hashable, Key: Comparable> {
    private var entries: [(id: ID, key: Key)] = []
    private var places: [ID: Int] = [:]

    var first: (id: ID, key: Key)? { entries.first }
    var isEmpty: Bool { entries.isEmpty }
    var count: Int { entries.count }

    /// Adds an id, or changes its key.
    mutating func set(_ id: ID, _ key: Key) {
        guard let place = places[id] else {
            places[id] = entries.count
            entries.append((id, key))
            rise(entries.count - 1)
            return
        }
        guard key != entries[place].key else { return }
        let isSmaller = key < entries[place].key
        entries[place].key = key
        if isSmaller { rise(place) } else { sink(place) }
    }

    mutating func remove(_ id: ID) {
        guard let place = places.removeValue(forKey: id) else { return }
        let last = entries.removeLast()
        guard place < entries.count else { return }
        let isSmaller = last.key < entries[place].key
        entries[place] = last
        places[last.id] = place
        if isSmaller { rise(place) } else { sink(place) }
    }

    private mutating func rise(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].key < entries[parent].key else { break }
            swap(child, parent)
            child = parent
        }
    }

    private mutating func sink(_ start: Int) {
        var parent = start
        while true {
            var child = parent * 2 + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1].key < entries[child].key { child += 1 }
            guard entries[child].key < entries[parent].key else { break }
            swap(child, parent)
            parent = child
        }
    }

    private mutating func swap(_ one: Int, _ other: Int) {
        entries.swapAt(one, other)
        places[entries[one].id] = one
        places[entries[other].id] = other
    }
}

extension IndexedHeap: Sendable where ID: Sendable, Key: Sendable {}
