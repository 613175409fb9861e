import Testing

@testable import Core

@Suite struct RedriveTests {
    static func headers(of offset: Int64, _ status: Status = .failed, partition: Int32 = 0) -> [Header] {
        [Header(Redrive.ofHeader, "/\(partition)/\(offset)/\(status.rawValue)"), Header(Redrive.generationHeader, "1")]
    }

    static func value(_ key: String, _ hosts: [String]) -> String {
        let list = hosts.map { "\"\($0)\"" }.joined(separator: ",")
        return #"{"idempotency_key":"\#(key)","project_id":"p","plugin_code":"ndr","host_id_list":[\#(list)]}"#
    }

    /// A harness in which the request of key k, at offset 0, failed for good.
    static func failed() -> PipelineHarness {
        var bench = PipelineHarness()
        bench.receive(Self.value("k", ["h1"]))
        bench.answer(403)
        #expect(bench.statuses == [.failed])
        return bench
    }

    @Test func `a failed request that is sent again is a new attempt, and a second copy is a duplicate of it`() {
        var bench = Self.failed()
        bench.receive(Self.value("k", ["h1"]))
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        #expect(bench.calls.count == 1)
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        bench.answer(200)
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        #expect(bench.statuses == [.failed, .duplicate, .succeeded, .duplicate, .duplicate])
        #expect(bench.results.suffix(2).allSatisfy { $0.original == .init(status: .succeeded, offset: 2) })
        #expect(bench.calls.isEmpty)
    }

    @Test func `a copy that fails can be sent again by its own result`() {
        var bench = Self.failed()
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        bench.answer(403)
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 1))
        bench.answer(200)
        #expect(bench.statuses == [.failed, .failed, .duplicate, .succeeded])
    }

    @Test(arguments: [
        ("another request of the key", headers(of: 7)), ("another partition", headers(of: 0, partition: 1)),
        ("another topic", [Header(Redrive.ofHeader, "t/0/0/failed")]), ("no id", [Header(Redrive.ofHeader, "0")]),
        ("an unknown status", [Header(Redrive.ofHeader, "/0/0/lost")]),
        ("a negative offset", [Header(Redrive.ofHeader, "/0/-1/failed")]),
        ("bytes", [Header(Redrive.ofHeader, [0xFF])]), ("nothing", [Header(Redrive.ofHeader, nil)]),
    ]) func `a header that names no result of the key makes no new attempt`(_ example: (String, [Header])) {
        var bench = Self.failed()
        bench.receive(Self.value("k", ["h1"]), headers: example.1)
        #expect(bench.statuses == [.failed, .duplicate], "\(example.0)")
        #expect(bench.calls.isEmpty)
    }

    @Test func `a request that succeeded is never called again, whatever a header says`() {
        var bench = PipelineHarness()
        bench.receive(Self.value("k", ["h1"]))
        bench.answer(200)
        for status in [Status.succeeded, .failed] {
            bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0, status))
        }
        #expect(bench.statuses == [.succeeded, .duplicate, .duplicate])
        #expect(bench.calls.isEmpty)
    }

    @Test func `another action under the key is a conflict, with the header too`() {
        var bench = Self.failed()
        bench.receive(Self.value("k", ["h2"]), headers: Self.headers(of: 0))
        #expect(bench.statuses == [.failed, .conflict])
    }

    @Test func `a copy of a request whose key was tried again since is a duplicate, also after a retryable failure`() {
        var bench = PipelineHarness { $0.retryFor = .zero }
        bench.receive(Self.value("k", ["h1"]))
        bench.answer(503)
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        bench.settleFor(.seconds(60))
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        #expect(bench.statuses == [.failed, .succeeded, .duplicate])
        bench.receive(Self.value("q", ["h1"]))
        bench.answer(503)
        bench.receive(Self.value("q", ["h1"]), headers: Self.headers(of: 3))
        bench.answer(503)
        bench.receive(Self.value("q", ["h1"]), headers: Self.headers(of: 3))
        #expect(bench.statuses.suffix(3) == [.failed, .failed, .duplicate])
    }

    @Test func `a copy that is read before the failed result is acknowledged is a new attempt`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(Self.value("k", ["h1"]))
        bench.answer(403)
        bench.receive(Self.value("k", ["h1"]))
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        #expect(bench.calls.isEmpty)
        bench.acknowledge()
        #expect(bench.calls.count == 1)
        bench.answer(200)
        bench.acknowledge()
        bench.acknowledge()
        #expect(bench.statuses == [.failed, .duplicate, .succeeded, .duplicate])
        #expect(bench.results.map(\.original?.offset) == [nil, 0, nil, 2])
    }

    @Test func `a restored ledger lets one new attempt through, and none once that has ended`() {
        var bench = Self.failed()
        bench.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0))
        bench.answer(403)
        for (known, calls) in [(1, 1), (2, 0)] {
            var ledger = Ledger()
            for result in bench.results.prefix(known) { ledger.restore(LedgerEntry(result, topic: "")) }
            var after = PipelineHarness(partitions: [])
            after.hand(.assigned(0, ledger))
            after.receive(Self.value("k", ["h1"]), headers: Self.headers(of: 0), skipping: 2)
            #expect(after.calls.count == calls)
            #expect(after.statuses == (calls == 0 ? [.duplicate] : []))
        }
    }

    @Test func `the headers of a copy replace those of the copy before it`() {
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: nil,
            headers: [Header("origin", "siem")] + Self.headers(of: 0))
        #expect(Redrive.generation(of: record) == 1)
        var copy = record
        copy.headers = Redrive.headers(record, of: "t/0/4/failed", generation: 2)
        #expect(copy.headers.map(\.name) == ["origin", "redrive-of", "redrive-generation"])
        #expect(Redrive(copy, topic: "t")?.offset == 4)
        #expect(Redrive.generation(of: copy) == 2)
        for text in ["", "0", "-1", "x", "9999999999999999999"] {
            copy.headers = [Header(Redrive.generationHeader, text)]
            #expect(Redrive.generation(of: copy) == 0, "\(text)")
        }
    }
}

@Suite struct PriorityOverrideTests {
    static let decoder = RequestDecoder(maximumBytes: 1 << 20, policy: Policy())
    static let rest = #""idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["h"]"#

    static func value(_ text: String, headers: [Header] = [], prefix: [UInt8] = []) -> String? {
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: prefix + Array(text.utf8),
            headers: headers)
        let value = record.value(withPriority: .bulk, decoder)
        #expect(value?.prefix(prefix.count).elementsEqual(prefix) ?? false)
        return value.map { String(decoding: $0.dropFirst(prefix.count), as: UTF8.self) }
    }

    @Test(arguments: [
        ("{\(rest)}", "{\"priority\":\"bulk\",\(rest)}"),
        ("{\(rest), \"priority\" : \"critical\" , \"n\":1.50}", "{\(rest), \"priority\" : \"bulk\" , \"n\":1.50}"),
        ("{\"priorit\\u0079\":\"normal\",\(rest)}", "{\"priorit\\u0079\":\"bulk\",\(rest)}"),
        (
            "{\"x\":{\"priority\":\"critical\",\"a\":[\"}\\\"{\",{}]},\(rest)}",
            "{\"priority\":\"bulk\",\"x\":{\"priority\":\"critical\",\"a\":[\"}\\\"{\",{}]},\(rest)}"
        ),
        ("{\(rest),\"priority\":\"bulk\"}", "{\(rest),\"priority\":\"bulk\"}"),
        ("{\"project_id\":\"p\"}", "{\"project_id\":\"p\"}"), ("not json", "not json"), ("", ""),
        ("{\(rest),\"priority\":\"urgent\"}", "{\(rest),\"priority\":\"urgent\"}"),
    ]) func `only the priority of a valid request changes`(_ example: (String, String)) {
        #expect(Self.value(example.0) == example.1)
        #expect(Self.value(example.0, prefix: [0, 0, 0, 0, 7]) == example.1)
    }

    @Test func `the priority of an event in structured mode is inside its data`() {
        let event =
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"data\": {\(Self.rest)},\"priority\":\"x\"}"
        let type = [Header("Content-Type", "application/CloudEvents+json; charset=utf-8")]
        #expect(
            Self.value(event, headers: type)
                == event.replacing("\"data\": {", with: "\"data\": {\"priority\":\"bulk\","))
    }

    @Test func `a record without a value stays without one`() {
        let record = Record(position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: nil)
        #expect(record.value(withPriority: .bulk, Self.decoder) == nil)
    }
}
