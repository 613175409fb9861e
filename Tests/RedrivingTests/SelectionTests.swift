import Testing

@testable import Core
@testable import Redriving
@testable import Reporting

@Suite struct SelectionTests {
    static let topic = "plugin.start.requests"
    static let now = Timestamp(milliseconds: 1_767_225_600_000)

    /// Requests and their results, as both topics hold them.
    struct History {
        var requests: [Record] = []
        var results: [StartResult] = []

        mutating func request(
            _ key: String, _ status: Status?, host: String = "h", more: String = "", headers: [Header] = [],
            code: String = "HSS.1001", isRetryable: Bool = false
        ) {
            let value =
                #"{"idempotency_key":"\#(key)","project_id":"p","plugin_code":"ndr","host_id_list":["\#(host)"]\#(more)}"#
            let position = Position(partition: 0, offset: Int64(requests.count))
            let record = Record(
                position: position, timestamp: SelectionTests.now + .seconds(requests.count), key: Array(key.utf8),
                value: Array(value.utf8), headers: headers)
            requests.append(record)
            let decoded = try? SelectionTests.decoder.decode(record).get()
            guard let status else { return }
            results.append(
                StartResult(
                    status: status, fields: decoded?.fields ?? RequestFields(), position: position,
                    requestTimestamp: record.timestamp, completedAt: SelectionTests.now,
                    failure: status == .succeeded
                        ? nil : Failure(code: code, isRetryable: isRetryable, httpStatus: 400),
                    scopedKey: status == .rejected ? nil : decoded?.scopedKey, fingerprint: decoded?.fingerprint,
                    record: record.identity(topic: SelectionTests.topic)))
        }

        mutating func redrive(_ offset: Int64, _ key: String, _ status: Status?, generation: Int = 1) {
            let id = "\(SelectionTests.topic)/0/\(offset)/failed"
            request(
                key, status,
                headers: [Header(Redrive.ofHeader, id), Header(Redrive.generationHeader, "\(generation)")])
        }

        func selection(_ change: (inout RedriveSelection.Rules) -> Void = { _ in }) throws -> RedriveSelection {
            var rules = RedriveSelection.Rules(
                requestsTopic: SelectionTests.topic, filter: ResultFilter(), statuses: [.failed], priority: .bulk,
                maximumGeneration: 3)
            change(&rules)
            var selection = RedriveSelection(rules)
            for result in results {
                let made = ResultWriter(requestsTopic: SelectionTests.topic).record(result)
                let record = Record(
                    position: Position(partition: 0, offset: 0), timestamp: nil, key: made.key, value: made.value,
                    headers: made.headers)
                selection.take(result: try JSON(parsing: made.value), try #require(LedgerEntry(record)))
            }
            return selection
        }

        func choice(
            now: Timestamp = SelectionTests.now, _ change: (inout RedriveSelection.Rules) -> Void = { _ in }
        ) throws -> RedriveChoice {
            var selection = try selection(change)
            for record in requests { selection.take(request: record) }
            return selection.finish(now: now)
        }

        /// The dead letter of the request at an offset.
        func letter(_ offset: Int) -> Record {
            let result = results[offset]
            var record = requests[offset]
            record.headers = ResultWriter(requestsTopic: SelectionTests.topic).headers(
                DeadLetter(record: record, result: result))
            record.position = Position(partition: 5, offset: Int64(offset))
            return record
        }
    }

    static let decoder = RequestDecoder(maximumBytes: .max, policy: Policy())

    static func keys(_ choice: RedriveChoice) -> [String?] { choice.records.map(\.idempotencyKey) }

    @Test func `failed requests are chosen, and each copy names its result`() throws {
        var history = History()
        history.request("a", .failed, more: #","priority":"critical","n":1.0"#, headers: [Header("origin", "siem")])
        history.request("b", .succeeded)
        history.request("c", .failed)
        let choice = try history.choice()
        #expect(Self.keys(choice) == ["a", "c"])
        let copy = try #require(choice.records.first)
        #expect(copy.key == Array("a".utf8))
        #expect(
            copy.headers == [
                Header("origin", "siem"), Header("redrive-of", "\(Self.topic)/0/0/failed"),
                Header("redrive-generation", "1"),
            ])
        let value = String(decoding: copy.value ?? [], as: UTF8.self)
        #expect(value.hasSuffix(#","priority":"bulk","n":1.0}"#), "\(value)")
        #expect(choice.leftOut.isEmpty)
    }

    @Test func `a request whose key has a later outcome is left out`() throws {
        var history = History()
        history.request("a", .failed, isRetryable: true)
        history.request("a", .succeeded)
        history.request("b", .failed, isRetryable: true)
        history.request("b", .failed)
        history.request("c", .failed)
        history.request("c", .duplicate)
        let choice = try history.choice()
        #expect(choice.records.map(\.candidate.request.offset) == [3, 4])
        #expect(choice.leftOut == [.superseded: 2])
    }

    @Test func `a request that was sent again before is left out until its copy has failed`() throws {
        var history = History()
        history.request("a", .failed)
        history.request("b", .failed)
        history.redrive(0, "a", nil)
        var choice = try history.choice()
        #expect(Self.keys(choice) == ["b"])
        #expect(choice.leftOut == [.alreadySent: 1])
        #expect(choice.sentBefore.map(\.copy.offset) == [2])
        history.results.removeAll { $0.position.offset == 2 }
        history.redrive(1, "b", .failed)
        choice = try history.choice()
        #expect(choice.records.map(\.candidate.resultID) == ["\(Self.topic)/0/3/failed"])
        #expect(choice.records.map(\.generation) == [2])
    }

    @Test(arguments: 1...4) func `a request is not sent again more often than allowed`(_ generation: Int) throws {
        var history = History()
        history.redrive(7, "a", .failed, generation: generation)
        let choice = try history.choice()
        #expect(choice.records.map(\.generation) == (generation < 3 ? [generation + 1] : []))
        #expect(choice.leftOut == (generation < 3 ? [:] : [.generation: 1]))
    }

    @Test func `requests that are gone, replaced or past their time are left out`() throws {
        var history = History()
        history.request("a", .failed)
        history.request("b", .failed)
        history.request("c", .failed, more: #","expires_at":"2026-01-01T00:00:10Z""#)
        history.requests[0].value = Array("{}".utf8)
        history.requests.remove(at: 1)
        let choice = try history.choice(now: Self.now + .seconds(10))
        #expect(choice.records.isEmpty)
        #expect(choice.leftOut == [.deleted: 2, .expired: 1])
        #expect(try Self.keys(history.choice(now: Self.now + .seconds(9))) == ["c"])
    }

    @Test func `the filters of results choose`() throws {
        var history = History()
        history.request("a", .failed, host: "h1")
        history.request("b", .failed, host: "h2", code: "HSS.1003")
        history.request("c", .rejected)
        for (change, keys) in [
            ({ $0.filter.hosts = ["h2"] }, ["b"]), ({ $0.filter.codes = ["HSS.1001"] }, ["a"]),
            ({ $0.filter.key = "b" }, ["b"]), ({ $0.statuses = [.rejected] }, ["c"]),
            ({ $0.filter.pluginCode = "av" }, []),
        ] as [((inout RedriveSelection.Rules) -> Void, [String])] {
            #expect(try Self.keys(history.choice(change)) == keys)
        }
    }

    @Test func `a dead letter is sent with its own bytes, key and headers`() throws {
        var history = History()
        history.request("a", .failed, headers: [Header("origin", "siem"), Header("empty", nil)])
        history.request("b", .failed, host: "h2", code: "HSS.1003")
        var selection = try History().selection { $0.filter.codes = ["HSS.1001"] }
        for offset in [0, 1, 0] { selection.take(letter: history.letter(offset)) }
        #expect(selection.firstOffsets == [0: 0])
        let choice = selection.finish(now: Self.now)
        let copy = try #require(choice.records.first)
        #expect(choice.records.count == 1)
        #expect(copy.candidate.request == Position(partition: 0, offset: 0))
        #expect(copy.headers.map(\.name) == ["origin", "empty", "redrive-of", "redrive-generation"])
        #expect(copy.value == history.requests[0].value.map { Array("{\"priority\":\"bulk\",".utf8) + $0.dropFirst() })
        var copies = selection
        history.redrive(0, "a", nil)
        for record in history.requests { copies.take(request: record) }
        #expect(copies.finish(now: Self.now).leftOut == [.alreadySent: 1])
    }

    @Test func `dead letters without a value, of another topic or of another program are left out`() throws {
        var history = History()
        history.request("a", .failed)
        history.request("b", .failed)
        var selection = try History().selection()
        var letter = history.letter(0)
        letter.value = nil
        letter.headers.append(Header("dlq-omitted-bytes", "300000"))
        selection.take(letter: letter)
        letter = history.letter(1)
        letter.headers.append(Header("dlq-topic", "other"))
        letter.headers.append(Header("dlq-result-id", "other/0/1/failed"))
        selection.take(letter: letter)
        letter.headers.append(Header("dlq-result-id", "other/0/2/failed"))
        selection.take(letter: letter)
        selection.take(letter: history.requests[0])
        #expect(selection.read == 2)
        #expect(selection.finish(now: Self.now).leftOut == [.withoutValue: 1, .otherTopic: 1])
    }

    @Test func `a value that is not JSON is sent as it is`() throws {
        var history = History()
        history.request("a", .rejected)
        history.requests[0].value = [0xFF, 0x00]
        history.results[0].record = history.requests[0].identity(topic: Self.topic)
        let choice = try history.choice { $0.statuses = [.rejected] }
        #expect(choice.records.map(\.value) == [[0xFF, 0x00]])
    }
}
