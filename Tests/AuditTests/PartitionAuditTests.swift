import Testing

@testable import Audit
@testable import Core

@Suite struct PartitionAuditTests {
    static let history = Play.everything

    static func rules(_ violations: [Violation]) -> Set<Rule> { Set(violations.map(\.rule)) }

    @Test func `a clean history of all statuses is proven`() {
        let history = Self.history
        #expect(Set(history.results.indices.compactMap { history.status($0) }) == Set(Status.allCases))
        #expect(history.audit() == [])
    }

    @Test func `a missing result is found`() {
        var history = Self.history
        let place = history.places(.succeeded)[3]
        let gone = history.results.remove(at: place)
        let request = Self.history.request(place)
        let violations = history.audit()
        #expect(violations.contains { $0.rule == .unanswered && $0.request?.offset == request && $0.result == nil })
        #expect(Self.rules(violations).isSubset(of: [.unanswered, .wrongOriginal]), "\(gone)")
    }

    @Test func `a recent request may be open, but not one without a time or with one far in the future`() {
        var history = History()
        history.now = Timestamp(milliseconds: 100_000)
        let value = Array(#"{"idempotency_key":"k","project_id":"p","plugin_code":"x","host_id_list":["h"]}"#.utf8)
        for (offset, time) in [(0, 30_000), (1, 40_000), (2, nil), (3, 200_000)] as [(Int64, Int64?)] {
            history.requests.append(
                Record(
                    position: Position(partition: 0, offset: offset),
                    timestamp: time.map(Timestamp.init(milliseconds:)), key: nil, value: value))
        }
        let violations = history.audit(olderThan: .seconds(60))
        #expect(violations.map(\.request?.offset) == [0, 2, 3])
        #expect(violations.map(\.key) == ["k", "k", "k"])
    }

    @Test func `a request that sends a failed one again may have an outcome, and one that names another may not`()
        throws
    {
        var play = Play(seed: 1)
        let body = #"{"idempotency_key":"k","project_id":"p0","plugin_code":"ndr","host_id_list":["h1"]}"#
        play.request(body)
        var history = play.end()
        history.results = []
        history.requests.append(history.requests[0])
        for offset in 0..<2 as Range<Int64> {
            history.requests[Int(offset)].position.offset = offset
            let result = StartResult(
                status: .failed, fields: try fields(history.requests[Int(offset)]),
                position: Position(partition: 0, offset: offset),
                requestTimestamp: history.requests[Int(offset)].timestamp,
                recordKey: history.requests[Int(offset)].key, completedAt: history.now, attempts: 1,
                call: .init(id: "c", httpStatus: 403, requests: 1, hosts: 1, latency: .zero),
                failure: Failure(code: "HSS.1004", isRetryable: false, httpStatus: 403))
            let made = ResultWriter(requestsTopic: History.topic).record(result)
            history.append(
                Record(
                    position: Position(partition: 0, offset: 0), timestamp: history.now, key: made.key,
                    value: made.value, headers: made.headers))
        }
        #expect(Self.rules(history.audit()) == [.twoOutcomes])
        let id = try #require(history.results[0].header("ce_id"))
        history.requests[1].headers = [Header(Redrive.ofHeader, id)]
        #expect(history.audit() == [])
        let other = id.replacing("/0/0/", with: "/0/1/")
        history.requests[1].headers = [Header(Redrive.ofHeader, other)]
        #expect(Self.rules(history.audit()) == [.twoOutcomes])
    }

    private func fields(_ record: Record) throws -> RequestFields {
        try RequestDecoder(maximumBytes: .max, policy: Policy()).decode(record).get().fields
    }

    @Test func `a second result with the same id is counted separately`() throws {
        var history = Self.history
        let place = try #require(history.places(.succeeded).last)
        history.append(history.results[place])
        let violation = try #require(history.audit().first)
        #expect(history.audit().count == 1)
        #expect(violation.rule == .repeated)
        #expect(violation.request?.offset == history.request(place))
        #expect(violation.result == history.results.last?.position)
        var findings = Findings()
        findings.violations = [.repeated: 1]
        #expect(findings.isProven(allowingRepeats: true) && !findings.isProven(allowingRepeats: false))
        findings.violations[.altered] = 1
        #expect(!findings.isProven(allowingRepeats: true))
    }

    @Test func `a second result with another status is a violation`() {
        var history = Self.history
        history.append(history.results[history.places(.succeeded)[2]])
        history.turn(history.results.count - 1, into: .failed)
        #expect(history.audit().map(\.rule) == [.answeredTwice])
    }

    @Test func `a result without a request is found, unless it is from before the range`() {
        var history = Self.history
        history.append(history.results[history.places(.succeeded)[2]])
        let last = history.results.count - 1
        history.set(last, ["request", "offset"], .integer(5_000))
        history.seal(last)
        #expect(history.audit().map(\.rule) == [.noRequest])
        #expect(Self.history.audit(from: 100) == [])
        var trimmed = Self.history
        trimmed.requests.removeFirst(100)
        #expect(trimmed.audit(from: 100) == [])
        #expect(Self.rules(trimmed.audit()).contains(.noRequest))
    }

    @Test func `requests deleted before they were read are no violation, and those already read stay known`() {
        let history = Self.history
        let rules = PartitionAudit.Rules(requestsTopic: History.topic, dedupeWindow: history.window)
        var audit = PartitionAudit(partition: 0, rules: rules, requests: 0, results: 0)
        var early = history
        early.requests = Array(history.requests[..<50])
        early.results = history.results.filter { history.request(Int($0.position.offset)) < 50 }
        #expect(early.go(on: &audit) == [])
        audit.requestsBegin(at: 100)
        #expect(audit.findings.deletedUnread == 50)
        var again = History()
        again.results = [early.results[early.results.count - 1]]
        again.results[0].position.offset = 900
        #expect(Self.rules(again.go(on: &audit)) == [.repeated])
        var late = history
        late.requests.removeFirst(100)
        late.results = []
        for index in history.results.indices where history.request(index) >= 50 { late.append(history.results[index]) }
        for index in late.results.indices { late.results[index].position.offset += 1000 }
        #expect(late.go(on: &audit) == [])
    }

    @Test func `two outcomes of one key are a violation within the window, but not later`() throws {
        var history = Self.history
        let place = try #require(history.places(.duplicate).first { history.value($0)["error"] == nil })
        history.turn(place, into: .succeeded)
        let found = history.audit()
        #expect(found.first?.rule == .twoOutcomes)
        #expect(found.first?.request?.offset == history.request(place))
        history.window = .zero
        #expect(!Self.rules(history.audit()).contains(.twoOutcomes))
    }

    @Test(arguments: [Status.duplicate, .conflict])
    func `a repeat with a missing or different original is found`(_ status: Status) throws {
        let clean = Self.history
        let place = try #require(
            clean.places(status).first { clean.value($0)["original"]?["status"]?.string == "succeeded" })
        let offset = try #require(clean.value(place)["original"]?["offset"]?.integer)
        func found(_ change: (inout History) -> Void) -> [Rule] {
            var history = clean
            change(&history)
            return history.audit().map(\.rule)
        }
        let id = "\(History.topic)/0/\(offset)/"
        let wrongKey = try #require(
            clean.places(.succeeded).first {
                clean.value($0)["idempotency_key"] != clean.value(place)["idempotency_key"]
            })
        #expect(
            found {
                $0.set(place, ["original", "offset"], .integer(4_000))
                $0.set(place, ["original", "id"], .string("\(History.topic)/0/4000/succeeded"))
            } == [.wrongOriginal])
        #expect(
            found {
                let other = $0.request(wrongKey)
                $0.set(place, ["original", "offset"], .integer(other))
                $0.set(place, ["original", "id"], .string("\(History.topic)/0/\(other)/succeeded"))
            } == [.wrongOriginal])
        #expect(
            found {
                $0.set(place, ["original", "status"], .string("partially_succeeded"))
                $0.set(place, ["original", "id"], .string(id + "partially_succeeded"))
            }.contains(.wrongOriginal))
        #expect(found { $0.set(place, ["original", "id"], .string(id + "failed")) } == [.wrongOriginal])
        #expect(found { $0.set(place, ["original"], nil) } == [.altered, .wrongOriginal])
        #expect(
            found { $0.turn(place, into: status == .duplicate ? .conflict : .duplicate) } == [.wrongOriginal],
            "the action says which of the two it is")
    }

    @Test func `a repeat before its original is found`() throws {
        var history = Self.history
        let place = history.places(.duplicate)[0]
        let offset = history.value(place)["original"]?["offset"]?.integer
        let original = try #require(history.results.indices.first { history.request($0) == offset })
        let result = history.results.remove(at: original)
        history.append(result)
        #expect(Self.rules(history.audit()).contains(.wrongOriginal))
    }

    @Test func `a result in the wrong partition is found, and its request stays unanswered`() {
        var history = Self.history
        let record = history.results.remove(at: history.places(.rejected)[0])
        #expect(history.audit().map(\.rule) == [.unanswered])
        var other = History()
        other.append(record)
        other.results[0].position.partition = 1
        #expect(other.audit(partition: 1).map(\.rule) == [.wrongPartition])
    }

    @Test func `a record that is not a result is found`() {
        for value in [nil, "{", "{}", #"{"status":"done"}"#, #"{"status":"failed","request":{"partition":0}}"#] {
            var history = Self.history
            history.append(
                Record(
                    position: Position(partition: 0, offset: 0), timestamp: history.now, key: nil,
                    value: value.map { Array($0.utf8) }))
            #expect(history.audit().map(\.rule) == [.unreadable], "\(value ?? "null")")
        }
    }
}
