internal import Core
internal import Kafka

/// One row of the table of metrics.
struct MetricFamily: Sendable {
    enum Kind: String { case counter, gauge, histogram }

    /// `suffix` follows the name, `labels` are in braces.
    struct Sample {
        var suffix = ""
        var labels = ""
        var value: String
    }

    let name: String
    let kind: Kind
    let labels: [String]
    let help: String
    let samples: @Sendable (Metrics, ProcessFigures) -> [Sample]

    /// One sample without labels.
    static func one(
        _ name: String, _ kind: Kind, _ help: String, _ value: @escaping @Sendable (Metrics) -> Int?
    ) -> MetricFamily {
        MetricFamily(name: name, kind: kind, labels: [], help: help) { metrics, _ in
            value(metrics).map { [Sample(value: "\($0)")] } ?? []
        }
    }

    static func labelled(
        _ name: String, _ kind: Kind, _ labels: [String], _ help: String,
        _ values: @escaping @Sendable (Metrics) -> [([String], String)]
    ) -> MetricFamily {
        MetricFamily(name: name, kind: kind, labels: labels, help: help) { metrics, _ in
            values(metrics).map { texts, value in
                Sample(labels: zip(labels, texts).map { "\($0)=\"\($1)\"" }.joined(separator: ","), value: value)
            }
        }
    }

    static func histogram(
        _ name: String, _ help: String, _ histogram: @escaping @Sendable (Metrics) -> Metrics.Histogram
    ) -> MetricFamily {
        MetricFamily(name: name, kind: .histogram, labels: [], help: help) { metrics, _ in
            let histogram = histogram(metrics)
            var sum = 0
            var samples = histogram.counts.enumerated().map { index, count in
                sum += count
                let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
                return Sample(suffix: "_bucket", labels: "le=\"\(bound)\"", value: "\(sum)")
            }
            samples.append(Sample(suffix: "_sum", value: "\(histogram.sum)"))
            samples.append(Sample(suffix: "_count", value: "\(sum)"))
            return samples
        }
    }

    static func process(
        _ name: String, _ kind: Kind, _ help: String, _ value: @escaping @Sendable (ProcessFigures) -> String
    ) -> MetricFamily {
        MetricFamily(name: name, kind: kind, labels: [], help: help) { _, figures in [Sample(value: value(figures))] }
    }

    /// A name of the process's own, or one that every program's metrics have.
    var fullName: String { name.hasPrefix("process_") ? name : "plugin_starter_\(name)" }
}

/// Every metric. The endpoint's text and the table of docs/operations.md are made from it. No label has values that a
/// request can choose.
package enum MetricTable {
    static let families: [MetricFamily] = [
        .labelled(
            "requests_total", .counter, ["status", "category"],
            "requests by the status of their acknowledged result, and the category of its error"
        ) { metrics in
            Status.allCases.flatMap { status in
                let known = metrics.requests.filter { $0.key.status == status }
                    .sorted { ($0.key.category?.rawValue ?? "") < ($1.key.category?.rawValue ?? "") }
                return known.isEmpty
                    ? [([status.rawValue, ""], "0")]
                    : known.map { ([status.rawValue, $0.key.category?.rawValue ?? ""], "\($0.value)") }
            }
        },
        .labelled(
            "calls_total", .counter, ["result"], "answered StartPlugin calls: succeeded, or the failure's category"
        ) { metrics in metrics.calls.sorted { $0.key < $1.key }.map { ([$0.key], "\($0.value)") } },
        .one("called_requests_total", .counter, "requests sent in calls, counted once per call") { $0.requestsCalled },
        .one("called_hosts_total", .counter, "hosts sent in calls, counted once per call") { $0.hostsCalled },
        .one("calls_saved_total", .counter, "calls that requests did not need because they shared one") {
            max(0, $0.requestsCalled - $0.callsSent)
        },
        .one("status_reads_total", .counter, "ListPluginStatus reads, after a refusal or a lost answer") { $0.reads },
        .one("unknown_codes_total", .counter, "failures with an unknown HSS error code") { $0.unknownCodes },
        .one("kafka_errors_total", .counter, "errors that the Kafka clients reported") { $0.kafkaErrors },
        .one("commit_failures_total", .counter, "offset commits that failed; each is retried with the next commit") {
            $0.commitFailures
        },
        .one(
            "publish_failures_total", .counter,
            "results that the results topic did not accept at first; each is sent again"
        ) { $0.publishFailures },
        .one("dead_letters_total", .counter, "records that were written to the dead-letter topic") { $0.deadLetters },
        .one(
            "left_behind_total", .counter,
            "open requests left to the partition's next owner in order; those of a partition that was lost do not count"
        ) { $0.leftBehind },
        .one(
            "lost_records_total", .counter,
            "requests that retention deleted before they were read; they get no result"
        ) { $0.lostRecords },
        .one("log_lines_dropped_total", .counter, "log lines dropped because they could not be written in time") {
            $0.logLinesDropped
        },
        .one("skipped_records_total", .counter, "records skipped because their result already exists") {
            $0.skippedRecords
        },
        .one(
            "identity_conflicts_total", .counter, "records whose offset has another record's result; they are processed"
        ) { $0.identityConflicts },
        .one(
            "forgotten_results_total", .counter,
            "results too far beyond the committed offset to be remembered; their records are processed again"
        ) { $0.forgottenResults },
        .one(
            "log_resets_total", .counter,
            "partitions that ended before the offset last read or committed; they are read again from the start"
        ) { $0.logResets },
        .one("restoring", .gauge, "1 while results are read before requests are taken") { $0.isRestoring ? 1 : 0 },
        .one("restored_results", .gauge, "results read at the last takeover, so far") { $0.restored },
        .one("ledger_keys", .gauge, "idempotency keys that are remembered") { $0.ledgerKeys },
        .one("open_requests", .gauge, "requests without an acknowledged result") { $0.open },
        .one("open_bytes", .gauge, "bytes of the open requests' records") { $0.openBytes },
        .one("waiting_requests", .gauge, "open requests that wait for a call") { $0.waiting },
        .labelled(
            "oldest_waiting_seconds", .gauge, ["priority"],
            "how long the oldest request of the class has waited for a call; 0 where none waits"
        ) { metrics in
            Priority.allCases.map { ([$0.rawValue], "\((metrics.oldestWaiting[$0] ?? .zero).seconds)") }
        },
        .one("calls_in_flight", .gauge, "calls that wait for their answer") { $0.inFlight },
        .one("quota_slots_free", .gauge, "calls that the quota allows now; absent without a quota") { $0.freeSlots },
        .one("credential_accepted", .gauge, "0 while calls are stopped because the credential was refused") {
            $0.isGateOpen ? 1 : 0
        },
        .one("refused_projects", .gauge, "projects for which the credential is refused, and accepted for others") {
            $0.refusedProjects
        },
        .one("policy_current", .gauge, "0 while the policy file is broken and the policy before it stays in force") {
            $0.isPolicyCurrent ? 1 : 0
        },
        .one("active", .gauge, "1 while this worker consumes and calls, 0 while it stands by or has no partition") {
            $0.isActive ? 1 : 0
        },
        .one(
            "intake_paused", .gauge, "1 while no records are fetched: too many open requests, or unwritten results"
        ) { $0.isPaused ? 1 : 0 },
        .one("unwritten_seconds", .gauge, "how long the oldest result has waited to be acknowledged") {
            Int($0.unwrittenFor.seconds)
        },
        .one("assigned_partitions", .gauge, "partitions that this worker owns") { $0.assigned },
        .labelled(
            "lag_records", .gauge, ["partition"],
            "records of a partition without an acknowledged result, as of the last fetch"
        ) { metrics in metrics.lag.sorted { $0.key < $1.key }.map { (["\($0.key)"], "\($0.value)") } },
        .histogram("request_seconds", "from a request's record to its acknowledged result") { $0.requestSeconds },
        .histogram("call_seconds", "from sending a call to its answer") { $0.callSeconds },
        .labelled("build_info", .gauge, ["version", "librdkafka"], "always 1; the versions are in the labels") { _ in
            [([Version.text, ClientConfiguration.libraryVersion.text], "1")]
        },
        .process("process_cpu_seconds_total", .counter, "CPU time of the process") { "\($0.cpuSeconds)" },
        .process("process_resident_memory_bytes", .gauge, "resident memory of the process") { "\($0.residentBytes)" },
        .process("process_open_fds", .gauge, "open files of the process") { "\($0.openFiles)" },
        .process("process_start_time_seconds", .gauge, "when the process started, since 1970") { "\($0.startedAt)" },
    ]

    /// The exposition format. In OpenMetrics a counter's family has no `_total`, and the text has an end.
    enum Format { case prometheus, openMetrics }

    static func text(_ metrics: Metrics, _ figures: ProcessFigures, _ format: Format) -> String {
        var out = ""
        for family in families {
            let name = family.fullName
            let isShortened = format == .openMetrics && family.kind == .counter && name.hasSuffix("_total")
            let title = isShortened ? String(name.dropLast("_total".count)) : name
            out += "# HELP \(title) \(family.help)\n# TYPE \(title) \(family.kind.rawValue)\n"
            for sample in family.samples(metrics, figures) {
                out += "\(name)\(sample.suffix)\(sample.labels.isEmpty ? "" : "{\(sample.labels)}") \(sample.value)\n"
            }
        }
        return format == .openMetrics ? out + "# EOF\n" : out
    }

    /// The table of docs/operations.md.
    package static var markdown: String {
        "| name | type | is |\n|---|---|---|\n"
            + families.map { family in
                let labels = family.labels.isEmpty ? "" : "{\(family.labels.joined(separator: ","))}"
                return "| `\(family.name)\(labels)` | \(family.kind.rawValue) | \(family.help) |\n"
            }.joined()
    }
}
