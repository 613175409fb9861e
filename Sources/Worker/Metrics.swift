internal import Core

/// All metrics with their names, rendered as Prometheus text (exposition format 0.0.4).
package struct Metrics: Sendable {
    var requests: [Status: Int] = [:]
    /// Keyed by `succeeded`, or by the failure's category.
    var calls: [String: Int] = [:]
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

    var text: String {
        var out = ""
        func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: String)]) {
            out += "# HELP plugin_starter_\(name) \(help)\n# TYPE plugin_starter_\(name) \(type)\n"
            for sample in samples { out += "plugin_starter_\(name)\(sample.labels) \(sample.value)\n" }
        }
        func one(_ name: String, _ type: String, _ help: String, _ value: Int) {
            family(name, type, help, [("", "\(value)")])
        }
        func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
            var sum = 0
            var samples: [(String, String)] = []
            for (index, count) in histogram.counts.enumerated() {
                sum += count
                let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
                samples.append(("_bucket{le=\"\(bound)\"}", "\(sum)"))
            }
            samples.append(("_sum", "\(histogram.sum)"))
            samples.append(("_count", "\(sum)"))
            family(name, "histogram", help, samples)
        }
        family(
            "requests_total", "counter", "Requests by the status of their acknowledged result.",
            Status.allCases.map { ("{status=\"\($0.rawValue)\"}", "\(requests[$0] ?? 0)") })
        family(
            "calls_total", "counter", "StartPlugin calls by result: succeeded, or the failure's category.",
            calls.sorted { $0.key < $1.key }.map { ("{result=\"\($0.key)\"}", "\($0.value)") })
        one("status_reads_total", "counter", "ListPluginStatus reads, after a refusal or a lost answer.", reads)
        one("called_requests_total", "counter", "Requests sent in calls, counted once per call.", requestsCalled)
        one("called_hosts_total", "counter", "Hosts sent in calls, counted once per call.", hostsCalled)
        one("unknown_codes_total", "counter", "Failures with an unknown HSS error code.", unknownCodes)
        one("kafka_errors_total", "counter", "Errors that the Kafka clients reported.", kafkaErrors)
        one(
            "commit_failures_total", "counter", "Offset commits that failed; each is retried with the next commit.",
            commitFailures)
        one(
            "publish_failures_total", "counter",
            "Results that the results topic did not accept at first; each is sent again.", publishFailures)
        one("dead_letters_total", "counter", "Records that were written to the dead-letter topic.", deadLetters)
        one("left_behind_total", "counter", "Open requests left to the partition's next owner.", leftBehind)
        one(
            "lost_records_total", "counter",
            "Requests that retention deleted before they were read; they get no result.",
            lostRecords)
        one(
            "log_lines_dropped_total", "counter", "Log lines dropped because they could not be written in time.",
            logLinesDropped)
        one(
            "skipped_records_total", "counter", "Records skipped because their result already exists.",
            skippedRecords)
        one(
            "identity_conflicts_total", "counter",
            "Records whose offset has another record's result; they are processed.", identityConflicts)
        one(
            "forgotten_results_total", "counter",
            "Results too far beyond the committed offset to be remembered; their records are processed again.",
            forgottenResults)
        one(
            "log_resets_total", "counter",
            "Partitions that ended before the offset last read or committed; they are read again from the start.",
            logResets)
        one("restored_results", "gauge", "Results read when partitions were last taken over.", restored)
        one("open_requests", "gauge", "Requests fetched whose result is not acknowledged yet.", open)
        one("open_bytes", "gauge", "Bytes of the open requests' records.", openBytes)
        one("waiting_requests", "gauge", "Open requests that wait for a call.", waiting)
        one("calls_in_flight", "gauge", "Calls that wait for their answer.", inFlight)
        one(
            "credential_accepted", "gauge", "0 while calls are stopped because the credential was refused.",
            isGateOpen ? 1 : 0)
        one(
            "policy_current", "gauge", "0 while the policy file is broken and the policy before it stays in force.",
            isPolicyCurrent ? 1 : 0)
        one(
            "active", "gauge", "1 while this worker consumes and calls, 0 while it stands by or has no partition.",
            isActive ? 1 : 0)
        one(
            "intake_paused", "gauge", "1 while no records are fetched: too many open requests, or unwritten results.",
            isPaused ? 1 : 0)
        one(
            "unwritten_seconds", "gauge", "How long the oldest result has waited to be acknowledged.",
            Int(unwrittenFor.seconds))
        one("assigned_partitions", "gauge", "Partitions that this worker owns.", assigned)
        family(
            "lag_records", "gauge", "Records of a partition without an acknowledged result, as of the last fetch.",
            lag.sorted { $0.key < $1.key }.map { ("{partition=\"\($0.key)\"}", "\($0.value)") })
        histogram("request_seconds", "From a request's record to its acknowledged result.", requestSeconds)
        histogram("call_seconds", "From sending a call to its answer.", callSeconds)
        return out
    }
}
