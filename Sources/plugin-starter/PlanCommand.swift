internal import Core
internal import Kafka
internal import Planning
internal import Reporting
internal import Settings
internal import Worker

/// `plan`: prints calls, hosts, refusals and minutes for requests from a file or from the requests topic.
nonisolated enum PlanCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        // A plan keeps nothing that a signal must not interrupt.
        Signals.unblock()
        let records: [Record]
        if let path = settings.operands.first {
            records = try fromFile(path)
        } else {
            records = try fromTopic(settings)
        }
        var configuration = try RunCommand.pipeline(settings)
        configuration.callPrefix = "plan"
        configuration.seed = UInt64(settings.value(SettingTable.seed))
        let plan = Plan(
            records, configuration, hosts: try settings.knownHosts(), now: Clock.now,
            atOnce: settings.value(SettingTable.atOnce))
        if settings.value(SettingTable.json) {
            printJSON(plan, configuration)
        } else {
            printTable(plan, configuration)
            if configuration.policy != Policy() { printPolicy(plan) }
        }
        guard plan.unanswered == 0 else { throw CommandFailure(70, "\(plan.unanswered) requests get no result") }
        return 0
    }

    /// Reads one request per line, as the record's value. A line that is a structured CloudEvent arrives at its `time`.
    private static func fromFile(_ path: String) throws(CommandFailure) -> [Record] {
        guard let bytes = File.read(path) else { throw CommandFailure(64, "\(path) cannot be read") }
        let lines = bytes.split(separator: UInt8(ascii: "\n")).filter { !$0.allSatisfy { $0 == 0x20 || $0 == 0x0D } }
        return lines.enumerated().map { number, line in
            var record = Record(
                position: Position(partition: 0, offset: Int64(number)), timestamp: nil, key: nil, value: Array(line))
            if let event = try? JSON(parsing: record.value ?? []), event["specversion"] != nil {
                record.headers = [Header("content-type", "application/cloudevents+json")]
                record.timestamp = event["time"]?.string.flatMap { Timestamp(rfc3339: $0) }
            }
            return record
        }
    }

    /// Reads each partition from `--since` (from its start without it) to its current end.
    private static func fromTopic(_ settings: Settings) throws(CommandFailure) -> [Record] {
        let kafka = try settings.kafka()
        let topic = settings.value(SettingTable.requestsTopic)
        let partitions = (0..<Int32(try Topics.partitions(topic, kafka))).map { $0 }
        var records: [Record] = []
        do throws(KafkaError) {
            let reader = try PartitionReader(kafka, topic: topic)
            var starts = partitions.map { (partition: $0, start: PartitionReader.Start.beginning) }
            let since = settings[SettingTable.since].map { Clock.wall + (.zero - $0) }
            if let since {
                starts = try reader.offsets(at: since, partitions, milliseconds: 10_000)
            }
            try reader.read(starts)
            var open = Set(partitions)
            let deadline = Clock.uptime + .seconds(60)
            while !open.isEmpty, Clock.uptime < deadline {
                switch reader.next(milliseconds: 100) {
                case .record(let record):
                    if let since, let time = record.timestamp, time < since { continue }
                    records.append(record)
                case .end(let partition): open.remove(partition)
                case .failed(let error):
                    if [.notPermitted, .insecure, .missing].contains(error.kind) { throw error }
                case nil: continue
                }
            }
            if !open.isEmpty { throw KafkaError.timedOut }
        } catch {
            throw Topics.failure(error, kafka, topic: topic)
        }
        return records
    }

    // MARK: Output

    private static func printTable(_ plan: Plan, _ configuration: Pipeline.Configuration) {
        Console.print(line(["MINUTE", "AT", "PROJECT", "PLUGIN", "REQUESTS", "OUTCOME", "HOSTS"]))
        for call in plan.calls {
            let hosts = call.call.operateAll ? ["all"] : call.call.hostIDs
            let more = hosts.count > 4 ? " and \(hosts.count - 4) more" : ""
            Console.print(
                line([
                    "\(minute(call.at))", seconds(call.at), call.call.projectID, call.call.pluginCode,
                    "\(call.requests)", call.refusal ?? "accepted", hosts.prefix(4).joined(separator: " ") + more,
                ]))
        }
        for result in plan.results where ![.succeeded, .duplicate].contains(result.status) {
            let why = [result.failure?.code, result.failure?.detail ?? result.failure?.title].compactMap { $0 }
            Console.print(
                "\(result.position) \(result.fields.idempotencyKey ?? "-"): \(result.status.rawValue), "
                    .printable + why.joined(separator: " ").printable)
        }
        let statuses = Status.allCases.compactMap { status in
            let count = plan.results.filter { $0.status == status }.count
            return count > 0 ? "\(count) \(status.rawValue)" : nil
        }
        Console.print(
            "\(plan.results.count) requests (\(statuses.joined(separator: ", "))): \(plan.calls.count) calls, "
                + "\(plan.reads) reads, done after \(seconds(plan.ends)) s")
        printWaits(plan, configuration)
    }

    /// How long the called requests waited, by class, and the least that any schedule could have reached.
    private static func printWaits(_ plan: Plan, _ configuration: Pipeline.Configuration) {
        guard let overall = plan.overall else { return }
        Console.print(waitLine(["WAIT, s", "REQUESTS", "MEAN", "MEDIAN", "P99", "WORST"]))
        func row(_ name: String, _ waits: Waits?) {
            guard let waits else { return }
            Console.print(
                waitLine(
                    [name, "\(waits.count)"] + [waits.mean, waits.median, waits.p99, waits.worst].map(seconds)))
        }
        for priority in Priority.allCases { row(priority.rawValue, plan.waits(of: priority)) }
        row("all", overall)
        let hosts = plan.calls.reduce(0) { $0 + $1.call.hostIDs.count }
        Console.print("hosts per call: \(tenths(Double(hosts) / Double(max(1, plan.calls.count))))")
        guard let least = plan.leastMeanWait(configuration) else { return }
        let ratio = least > .zero ? ", which is \(tenths(overall.mean / least)) times that" : ""
        Console.print(
            "no schedule can reach a mean wait below \(seconds(least)) s; this one has \(seconds(overall.mean)) s\(ratio)"
        )
    }

    private static func waitLine(_ cells: [String]) -> String {
        cells.enumerated().map { $0 == 0 ? $1 + String(repeating: " ", count: max(0, 9 - $1.count)) : pad($1, 9) }
            .joined()
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func tenths(_ number: Double) -> String { "\((number * 10).rounded() / 10)" }

    /// How many requests each rule of the policy decided about.
    private static func printPolicy(_ plan: Plan) {
        func row(_ rule: String, _ verdict: String, _ requests: String) {
            Console.print(
                rule + String(repeating: " ", count: max(1, 33 - rule.count)) + verdict
                    + String(repeating: " ", count: max(1, 9 - verdict.count)) + pad(requests, 8))
        }
        row("POLICY RULE", "DECISION", "REQUESTS")
        for entry in PolicyTally(plan.decisions.values).rows {
            row(entry.rule, entry.verdict.rawValue, "\(entry.requests)")
        }
    }

    private static func printJSON(_ plan: Plan, _ configuration: Pipeline.Configuration) {
        func out(_ members: [JSON.Member]) {
            Console.print(String(decoding: JSON.object(members).bytes, as: UTF8.self))
        }
        for call in plan.calls {
            var members: [JSON.Member] = [
                .init("minute", .integer(Int64(minute(call.at)))), .init("at_ms", .integer(call.at.milliseconds)),
                .init("project_id", .string(call.call.projectID)),
            ]
            if let id = call.call.enterpriseProjectID { members.append(.init("enterprise_project_id", .string(id))) }
            members += [
                .init("plugin_code", .string(call.call.pluginCode)), .init("operate_all", .bool(call.call.operateAll)),
                .init("hosts", .array(call.call.hostIDs.map(JSON.string))),
                .init("requests", .integer(Int64(call.requests))),
            ]
            if let refusal = call.refusal { members.append(.init("error_code", .string(refusal))) }
            out(members)
        }
        for result in plan.results {
            var members: [JSON.Member] = [
                .init("position", .string(result.position.description)),
                .init("status", .string(result.status.rawValue)),
            ]
            if let key = result.fields.idempotencyKey { members.append(.init("idempotency_key", .string(key))) }
            if let failure = result.failure {
                members.append(.init("code", .string(failure.code)))
                members.append(.init("detail", .string(failure.detail ?? failure.title)))
            }
            if configuration.policy != Policy(), let decision = plan.decisions[result.position] {
                members.append(.init("policy_rule", .string(decision.rule)))
                if let hold = decision.maintenance { members.append(.init("maintenance", .string(hold.rule))) }
            }
            out(members)
        }
    }

    private static func minute(_ time: Duration) -> Int { Int(time.seconds / 60) + 1 }

    private static func seconds(_ time: Duration) -> String { tenths(time.seconds) }

    private static func line(_ cells: [String]) -> String {
        zip(cells, [6, 8, 32, 10, 8, 9, 0]).map { cell, width in
            let clean = cell.printable
            return clean + String(repeating: " ", count: max(0, width - clean.count))
        }.joined(separator: " ")
    }
}
