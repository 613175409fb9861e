package import Core

/// How many results there were in each step of time. Steps become longer as the time grows, so that memory is bounded.
package struct TimeSeries: Sendable {
    package struct Step: Equatable, Sendable {
        package var all = 0
        package var unsuccessful = 0
    }

    /// Steps that people read well, in seconds, up to a year.
    private static let lengths = [
        1, 5, 10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400,
    ]
    private static let maximumSteps = 1000

    private var level = 0
    private var steps: [Int64: Step] = [:]

    package init() {}

    /// The length of a step in seconds.
    package var length: Int { Self.lengths[level] }

    package mutating func add(_ time: Timestamp, isUnsuccessful: Bool) {
        let index = Self.index(time.milliseconds, length)
        steps[index, default: Step()].all += 1
        if isUnsuccessful { steps[index, default: Step()].unsuccessful += 1 }
        while steps.count > Self.maximumSteps && level < Self.lengths.count - 1 { lengthen() }
    }

    /// The series with at most that many rows, from the first result to the last, if steps of a year allow it.
    package func rows(atMost limit: Int) -> (length: Int, rows: [(time: Timestamp, step: Step)]) {
        var series = self
        while series.span > limit && series.level < Self.lengths.count - 1 { series.lengthen() }
        guard let first = series.steps.keys.min(), let last = series.steps.keys.max() else { return (length, []) }
        let rows = (max(first, last - Int64(limit) + 1)...last).map { index in
            (Timestamp(milliseconds: index * Int64(series.length) * 1000), series.steps[index] ?? Step())
        }
        return (series.length, rows)
    }

    private var span: Int64 { (steps.keys.max() ?? 0) - (steps.keys.min() ?? 0) + 1 }

    private mutating func lengthen() {
        let old = Int64(length)
        level += 1
        var merged: [Int64: Step] = [:]
        for (index, step) in steps {
            let place = Self.index(index * old * 1000, length)
            merged[place, default: Step()].all += step.all
            merged[place, default: Step()].unsuccessful += step.unsuccessful
        }
        steps = merged
    }

    /// Rounded down, also before 1970.
    private static func index(_ milliseconds: Int64, _ length: Int) -> Int64 {
        let size = Int64(length) * 1000
        return milliseconds / size - (milliseconds % size < 0 ? 1 : 0)
    }
}
