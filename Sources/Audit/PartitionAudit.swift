package import Core

/// Compares one partition's requests with the results partition of the same number.
///
/// Records are passed in the order of their topic. A result is passed after every request up to its own, which
/// `ResultReading.request` names. So the audit holds no more open requests than the worker did. The audit keeps each
/// open request (about 400 bytes and its key), each first outcome of the dedupe window (about 200 bytes), and one byte
/// for each other request of the window. It forgets what is older than the window by the results' own times, but never
/// an open request.
package struct PartitionAudit: Sendable {
    package struct Rules: Equatable, Sendable {
        package var requestsTopic: String
        /// How long repeats of a key are answered with its first outcome.
        package var dedupeWindow: Duration

        package init(requestsTopic: String, dedupeWindow: Duration) {
            self.requestsTopic = requestsTopic
            self.dedupeWindow = dedupeWindow
        }
    }

    package let partition: Int32
    let rules: Rules
    /// Requests below this offset are not checked.
    var begin: Int64
    /// The next offset to read of each topic.
    package internal(set) var requestsRead: Int64
    package internal(set) var resultsRead: Int64
    var open: [Int64: RequestFacts] = [:]
    var answers: Answers
    var outcomes = Outcomes()
    /// The latest time that a result contains.
    var time = Timestamp(milliseconds: 0)
    var sweptAt = Timestamp(milliseconds: 0)
    package private(set) var findings = Findings()

    /// Checks requests from `requests` on; reads results from `results` on.
    package init(partition: Int32, rules: Rules, requests: Int64, results: Int64) {
        self.partition = partition
        self.rules = rules
        (begin, requestsRead, resultsRead) = (requests, requests, results)
        answers = Answers(base: requests)
    }

    /// Takes the next request record.
    package mutating func take(request record: Record) {
        requestsRead = record.position.offset + 1
        findings.requests += 1
        open[record.position.offset] = RequestFacts(record, topic: rules.requestsTopic)
    }

    /// Requests below this offset have been deleted. Those that were not read yet can no longer be read.
    package mutating func requestsBegin(at offset: Int64) {
        guard offset > requestsRead else { return }
        findings.deletedUnread += offset - requestsRead
        (begin, requestsRead) = (offset, offset)
        answers.skip(to: offset, time)
    }

    /// Both topics were read up to these offsets, gaps included.
    package mutating func reached(requests: Int64, results: Int64) {
        requestsRead = max(requestsRead, requests)
        resultsRead = max(resultsRead, results)
    }

    /// Takes the next record of the results partition and returns its violations.
    package mutating func take(
        result record: Record, _ reading: Result<ResultReading, ResultReading.Unreadable>
    ) -> [Violation] {
        resultsRead = record.position.offset + 1
        findings.results += 1
        let found: [Violation]
        switch reading {
        case .failure(let error):
            found = [Violation(.unreadable, request: nil, result: record.position, key: nil, error.reason)]
        case .success(let result):
            findings.statuses[result.status, default: 0] += 1
            found = judge(result)
            forget(result)
        }
        for violation in found { findings.violations[violation.rule, default: 0] += 1 }
        return found
    }

    /// Ends an audit that has read everything that existed at `now`. Returns the requests that should have been
    /// answered by then.
    package mutating func finish(now: Timestamp, olderThan age: Duration) -> [Violation] {
        var found: [Violation] = []
        for (offset, facts) in open.sorted(by: { $0.key < $1.key }) {
            // A timestamp far in the future does not show the age, and must not excuse a request for ever.
            if let timestamp = facts.timestamp, now - timestamp <= age, timestamp - now <= age {
                findings.open += 1
                continue
            }
            let detail = facts.timestamp.map { "the request of \($0) has no result" } ?? "the request has no result"
            found.append(
                Violation(
                    .unanswered, request: Position(partition: partition, offset: offset), result: nil, key: facts.key,
                    detail))
        }
        if !found.isEmpty { findings.violations[.unanswered, default: 0] += found.count }
        return found
    }

    // MARK: One result

    private mutating func judge(_ result: ResultReading) -> [Violation] {
        func violation(_ rule: Rule, _ detail: String) -> Violation {
            Violation(rule, request: result.request, result: result.position, key: result.key, detail)
        }
        guard result.request.partition == partition else {
            return [violation(.wrongPartition, "the result is in partition \(partition)")]
        }
        if result.isOfAnotherTopic(than: rules.requestsTopic) {
            findings.ofOtherRecords += 1
            return []
        }
        if let facts = open[result.request.offset], facts.isAnotherRecords(result) {
            findings.ofOtherRecords += 1
            learn(result)
            return []
        }
        var faults = result.faults(requestsTopic: rules.requestsTopic)
        let offset = result.request.offset
        let facts = open.removeValue(forKey: offset)
        if let facts { faults += facts.disagreements(with: result) }
        var found = faults.isEmpty ? [] : [violation(.altered, faults.joined(separator: "; "))]
        if let facts {
            answers.set(offset, result.status, result.completedAt)
            found += judgeKey(result, facts).map { violation($0.rule, $0.detail) }
        } else if let first = answers[offset] {
            // The same status means the same id. Apart from the status, the id contains only the request's position.
            found.append(
                first == result.status
                    ? violation(.repeated, "the same result was published before")
                    : violation(.answeredTwice, "the request already has a result: \(first.rawValue)"))
        } else if offset < begin {
            findings.beforeTheRange += 1
            learn(result)
        } else if offset < answers.base {
            found.append(violation(.answeredTwice, "the request had a result more than a dedupe window before"))
        } else {
            found.append(violation(.noRequest, "there is no such request"))
        }
        return found
    }

    private mutating func judgeKey(_ result: ResultReading, _ facts: RequestFacts) -> [(rule: Rule, detail: String)] {
        guard let key = facts.scopedKey else { return [] }
        if result.isRepeat {
            return wrongOriginal(result, key, facts).map { [(.wrongOriginal, $0)] } ?? []
        }
        guard result.isOutcome else { return [] }
        let latest = outcomes.latest(key)
        remember(result, key, facts.action)
        // The worker remembers an outcome's time in whole seconds, rounded down.
        guard let (offset, outcome) = latest, !outcome.isRetryable, !outcome.isRedriven(by: facts, at: offset),
            result.completedAt.milliseconds - outcome.completedAt.milliseconds / 1000 * 1000
                <= rules.dedupeWindow.milliseconds
        else { return [] }
        let detail =
            "the key already has an outcome: request \(partition)/\(offset) \(outcome.status.rawValue), "
            + "result \(partition)/\(outcome.result)"
        return [(.twoOutcomes, detail)]
    }

    /// What is wrong with the original that a repeat names. The original's result comes before the repeat's result. The
    /// original's request may come after the repeat's request, if a crash came between the result of a new attempt and
    /// the result of a duplicate that waited for the attempt before.
    private mutating func wrongOriginal(_ result: ResultReading, _ key: ScopedKey, _ facts: RequestFacts) -> String? {
        guard let original = result.value["original"], let offset = original["offset"]?.integer, offset >= 0,
            let status = original["status"]?.string, let id = original["id"]?.string
        else { return "original is missing or incomplete" }
        let position = Position(partition: partition, offset: offset)
        guard id == ResultReading.id(rules.requestsTopic, position, status) else {
            return "original.id is \(id), which is not the id of request \(position) \(status)"
        }
        guard let outcome = outcomes[offset] else {
            // Another record may have the original's offset now.
            if offset < begin || findings.ofOtherRecords > 0 {
                findings.unprovenOriginals += 1
                return nil
            }
            return "request \(position) has no outcome before this result"
        }
        if outcome.status.rawValue != status { return "request \(position) was answered \(outcome.status.rawValue)" }
        if outcome.key != key { return "request \(position) has another key" }
        if result.status == .duplicate && outcome.isRedriven(by: facts, at: offset) {
            return "request \(position) failed and was sent again, so this is no duplicate of it"
        }
        guard let first = outcome.action, let action = facts.action else { return nil }
        if result.status == .duplicate && first != action { return "request \(position) has another action" }
        if result.status == .conflict && first == action { return "request \(position) has the same action" }
        return nil
    }

    /// A result of a request before the range is not checked, but repeats within the range may name it.
    private mutating func learn(_ result: ResultReading) {
        guard result.isOutcome, let project = result.value["project_id"]?.string, let key = result.key else { return }
        var action: TextDigest?
        let hosts = result.value["host_id_list"]?.array?.compactMap(\.string)
        let operateAll = result.value["operate_all"]?.bool ?? false
        if let plugin = result.value["plugin_code"]?.string, operateAll || hosts != nil {
            action = TextDigest(
                project: project, enterpriseProject: result.value["enterprise_project_id"]?.string, plugin: plugin,
                operateAll: operateAll, hosts: hosts ?? [])
        }
        remember(result, ScopedKey(project: project, key: key), action)
    }

    private mutating func remember(_ result: ResultReading, _ key: ScopedKey, _ action: TextDigest?) {
        outcomes.insert(
            result.request.offset,
            .init(
                key: key, action: action, status: result.status,
                isRetryable: result.status == .failed && result.isRetryable, completedAt: result.completedAt,
                result: result.position.offset))
    }

    /// Forgets what is older than the window, at intervals of a sixteenth of the window.
    private mutating func forget(_ result: ResultReading) {
        // Only if both times are wrong can they make everything else look old.
        time = max(time, min(result.recordTime ?? result.completedAt, result.completedAt))
        guard time - sweptAt >= max(.seconds(1), rules.dedupeWindow / 16) else { return }
        sweptAt = time
        // A repeat that was decided within the window may have waited for the results topic.
        let horizon = time + (.zero - rules.dedupeWindow - rules.dedupeWindow / 8 - .seconds(600))
        outcomes.forget(before: horizon)
        answers.forget(before: horizon, now: time)
    }
}
