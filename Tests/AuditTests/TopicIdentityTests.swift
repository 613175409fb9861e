import Testing

@testable import Audit
@testable import Core

/// Results of records that are gone do not belong to this history. They are not altered results, and do not answer the
/// records that have their offsets now.
@Suite struct TopicIdentityTests {
    private static func recreated(_ status: Status, versionOne: Bool = false) throws -> (History, Int64) {
        var history = Play.everything
        let place = try #require(history.places(status).last)
        let offset = history.request(place)
        var record = history.requests[Int(offset)]
        record.timestamp = history.now + .milliseconds(-1)
        record.value = Array(
            #"{"idempotency_key":"new","project_id":"p","plugin_code":"ndr","host_id_list":["new"]}"#.utf8)
        history.requests[Int(offset)] = record
        if versionOne { history.results[place].headers.removeAll { $0.name == LedgerEntry.header } }
        return (history, offset)
    }

    @Test(arguments: Status.allCases, [false, true])
    func `a new record at an answered offset is unanswered, and the old result is not altered`(
        _ status: Status, _ versionOne: Bool
    ) throws {
        let (history, offset) = try Self.recreated(status, versionOne: versionOne)
        let violations = history.audit()
        #expect(violations.map(\.rule) == [.unanswered])
        #expect(violations.first?.request?.offset == offset)
    }

    @Test func `results of another requests topic are counted, but answer no request`() {
        let history = Play.everything
        var audit = PartitionAudit(
            partition: 0, rules: .init(requestsTopic: "another", dedupeWindow: history.window), requests: 0, results: 0)
        let violations = history.go(on: &audit)
        #expect(Set(violations.map(\.rule)) == [.unanswered])
        #expect(violations.count == history.requests.count)
        #expect(audit.findings.ofOtherRecords == history.results.count)
    }

    @Test func `a result for a request without a key has its id as key`() throws {
        var history = Play.everything
        let place = try #require(
            history.results.firstIndex { $0.key == $0.headers.first { $0.name == "ce_id" }?.value })
        #expect(history.audit() == [])
        history.results[place].key = nil
        #expect(history.audit() == [], "as older workers wrote it")
        history.results[place].key = Array("other".utf8)
        #expect(history.audit().map(\.rule) == [.altered])
    }
}
