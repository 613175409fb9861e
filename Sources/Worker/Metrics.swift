internal import Core

/// What is counted and measured. `MetricTable` has the names.
package struct Metrics: Sendable {
    struct Outcome: Hashable {
        var status: Status
        /// Nil for a result without an error.
        var category: Failure.Category?
    }

    var requests: [Outcome: Int] = [:]
    /// Keyed by `succeeded`, or by the failure's category.
    var calls: [String: Int] = [:]
    var callsSent = 0
    var requestsCalled = 0
    var reads = 0
    var hostsCalled = 0
    var unknownCodes = 0
    var kafkaErrors = 0
    var commitFailures = 0
    var publishFailures = 0
    var deadLetters = 0
    var leftBehind = 0
    var restored = 0
    var lostRecords = 0
    var logLinesDropped = 0
    var skippedRecords = 0
    var identityConflicts = 0
    var forgottenResults = 0
    var logResets = 0
    var requestSeconds = Histogram([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600])
    var callSeconds = Histogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
    // Copied from the core when a snapshot is made.
    var open = 0
    var openBytes = 0
    var waiting = 0
    var inFlight = 0
    /// How long the oldest waiting request of each class has waited.
    var oldestWaiting: [Priority: Duration] = [:]
    /// Nil without a quota.
    var freeSlots: Int?
    var ledgerKeys = 0
    var refusedProjects = 0
    var isRestoring = false
    var isGateOpen = true
    var isPolicyCurrent = true
    var isActive = false
    var isPaused = false
    var unwrittenFor: Duration = .zero
    var assigned = 0
    var lag: [Int32: Int64] = [:]

    package struct Histogram: Sendable {
        let bounds: [Double]
        private(set) var counts: [Int]
        private(set) var sum = 0.0

        init(_ bounds: [Double]) {
            self.bounds = bounds
            counts = Array(repeating: 0, count: bounds.count + 1)
        }

        mutating func observe(_ value: Double) {
            counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
            sum += value
        }
    }
}
