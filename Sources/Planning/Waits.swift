package import Core

/// How long requests waited.
package struct Waits {
    package let count: Int
    package let mean: Duration
    package let median: Duration
    package let p99: Duration
    package let worst: Duration

    /// Nil where none waited.
    package init?(_ waits: [Duration]) {
        guard let worst = waits.max() else { return nil }
        let sorted = waits.sorted()
        count = sorted.count
        mean = sorted.reduce(.zero, +) / sorted.count
        median = sorted[(sorted.count - 1) / 2]
        p99 = sorted[min(sorted.count - 1, sorted.count * 99 / 100)]
        self.worst = worst
    }
}

extension Plan {
    /// The waits of all requests that were called.
    package var overall: Waits? { Waits(waits.map(\.wait)) }

    package func waits(of priority: Priority) -> Waits? {
        Waits(waits.filter { $0.priority == priority }.map(\.wait))
    }
}
