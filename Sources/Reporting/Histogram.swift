/// Counts names. The number of different names is bounded, because some of them come from outside.
package struct Histogram: Sendable {
    private static let maximumNames = 1000
    package private(set) var counts: [String: Int] = [:]
    /// The sum for the names that found no room.
    package private(set) var others = 0

    package init() {}

    package mutating func add(_ name: String) {
        if let count = counts[name] {
            counts[name] = count + 1
        } else if counts.count < Self.maximumNames {
            counts[name] = 1
        } else {
            others += 1
        }
    }

    /// The most frequent names first.
    package var sorted: [(name: String, count: Int)] {
        let named = counts.map { (name: $0.key, count: $0.value) }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
        return others > 0 ? named + [("(other)", others)] : named
    }
}
