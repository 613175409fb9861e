import Testing

@testable import Core

@Suite struct PipelineTests {
    @Test func `a request is called, answered, published, and only then is its offset done`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "k", hosts: ["a", "b"])
        #expect(bench.calls.map(\.hostIDs) == [["a", "b"]])
        #expect(bench.stored.isEmpty)
        bench.answer(200)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].attempts == 1)
        #expect(bench.stored.isEmpty)
        bench.acknowledge()
        #expect(bench.stored == [0: 1])
        #expect(bench.pipeline.openCount == 0)
    }

    @Test func `offsets are stored up to the first that is open, and gaps do not hold them back`() {
        var bench = PipelineHarness { $0.hostsPerCall = 1 }
        for key in ["a", "b", "c"] { bench.receive(key: key, plugin: key) }
        bench.receive(#"{}"#, skipping: 5)
        #expect(bench.stored.isEmpty)
        let first = bench.calls.removeFirst()
        bench.answer(200)
        bench.answer(200)
        #expect(bench.stored.isEmpty)
        bench.calls = [first]
        bench.answer(200)
        #expect(bench.stored == [0: 9])
    }

    struct Repeat: Sendable, CustomTestStringConvertible {
        var name: String
        var firstAnswer: (Int, String?)
        var second: [String]
        var expected: [Status]
        var calls: Int
        var testDescription: String { name }
    }

    @Test(arguments: [
        Repeat(
            name: "after success", firstAnswer: (200, nil), second: ["h1"], expected: [.succeeded, .duplicate], calls: 0
        ),
        Repeat(name: "conflict", firstAnswer: (200, nil), second: ["h2"], expected: [.succeeded, .conflict], calls: 0),
        Repeat(
            name: "after terminal failure", firstAnswer: (403, nil), second: ["h1"], expected: [.failed, .duplicate],
            calls: 0),
    ]) func `a key that came before is answered without a call`(_ example: Repeat) {
        var bench = PipelineHarness()
        bench.receive(key: "k")
        bench.answer(example.firstAnswer.0, code: example.firstAnswer.1)
        bench.receive(key: "k", hosts: example.second)
        #expect(bench.statuses == example.expected)
        #expect(bench.calls.count == example.calls)
        #expect(bench.results[1].original?.offset == 0)
        #expect(bench.results[1].original?.status == example.expected[0])
        #expect(bench.stored == [0: 2])
    }

    @Test func `a repeat waits while the first is open and gets its outcome`() {
        var bench = PipelineHarness()
        bench.receive(key: "k")
        bench.receive(key: "k")
        bench.receive(key: "k", hosts: ["other"])
        #expect(bench.calls.count == 1)
        #expect(bench.results.isEmpty)
        bench.answer(200)
        #expect(bench.statuses == [.succeeded, .duplicate, .conflict])
        #expect(bench.stored == [0: 3])
    }

    @Test func `a key is free again after a failure that can pass`() {
        var bench = PipelineHarness { $0.retryFor = .zero }
        bench.receive(key: "k")
        bench.answer(503)
        #expect(bench.statuses == [.failed])
        #expect(bench.results[0].failure?.isRetryable == true)
        bench.receive(key: "k")
        bench.settle()
        #expect(bench.statuses == [.failed, .succeeded])
    }

    @Test func `rejected and expired do not claim the key`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", more: #","expires_at":"2020-01-01T00:00:00Z""#)
        bench.receive(#"{"idempotency_key":"k","project_id":"p"}"#)
        bench.receive(key: "k")
        bench.answer(200)
        #expect(bench.statuses == [.expired, .rejected, .succeeded])
    }

    @Test func `equal keys of different projects are different keys`() {
        var bench = PipelineHarness()
        bench.receive(key: "k", project: "p")
        bench.receive(key: "k", project: "q")
        bench.settle()
        #expect(bench.statuses == [.succeeded, .succeeded])
    }

    @Test func `a key older than the window is a first time`() {
        var bench = PipelineHarness { $0.dedupeWindow = .seconds(60) }
        bench.receive(key: "k")
        bench.answer(200)
        bench.pass(.seconds(61))
        bench.receive(key: "k")
        bench.settle()
        #expect(bench.statuses == [.succeeded, .succeeded])
    }

    @Test func `a transient failure is tried again with growing pauses until the budget ends`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(600) }
        bench.receive(key: "k")
        var tries = 0
        for _ in 0..<1000 where bench.results.isEmpty {
            if bench.calls.isEmpty {
                guard let deadline = bench.pipeline.deadline(bench.now) else { break }
                bench.pass(max(.milliseconds(1), deadline - bench.now.uptime))
            } else {
                tries += 1
                bench.answer(503)
            }
        }
        #expect(bench.statuses == [.failed])
        #expect(bench.results[0].attempts == tries)
        #expect(tries > 5 && tries < 100)
        #expect(bench.results[0].failure?.category == .transient)
    }

    @Test func `a lost answer is tried again`() {
        var bench = PipelineHarness()
        bench.receive(key: "k")
        bench.lose()
        #expect(bench.calls.isEmpty)
        bench.tell { _ in ("stopped", "online") }
        bench.settle()
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].attempts == 2)
        #expect(bench.results[0].evidence == nil)
    }

    @Test func `a throttled call costs no attempt and waits a full window`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        bench.receive(key: "k")
        let sentAt = bench.now.uptime
        bench.answer(429, code: "APIGW.0308")
        bench.pass(.seconds(59))
        #expect(bench.calls.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.calls.count == 1)
        #expect(bench.now.uptime - sentAt >= .seconds(60))
        bench.answer(200)
        #expect(bench.results[0].attempts == 1)
    }

    @Test func `a refused credential stops calls and fails nothing`() {
        var bench = PipelineHarness { $0.hostsPerCall = 1 }
        for n in 0..<5 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        var refusals = 0
        for _ in 0..<200 {
            if bench.calls.isEmpty {
                bench.pass(.seconds(5))
            } else {
                refusals += 1
                bench.answer(401, code: "APIGW.0301")
            }
        }
        #expect(bench.results.isEmpty)
        #expect(refusals <= 12, "1000 s hold at most three refusals in any 300")
        bench.hand(.credentialChanged)
        for _ in 0..<100 where bench.results.count < 5 {
            if bench.calls.isEmpty { bench.pass(.seconds(10)) } else { bench.answer(200) }
        }
        #expect(bench.statuses == Array(repeating: .succeeded, count: 5))
    }

    @Test func `expiry while waiting answers expired and makes no call`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        let soon = (bench.now.wall + .seconds(5)).description
        bench.receive(key: "b", plugin: "y", more: #","expires_at":"\#(soon)""#)
        bench.answer(200)
        bench.pass(.seconds(6))
        #expect(bench.statuses == [.expired, .succeeded])
        #expect(bench.calls.isEmpty)
        #expect(bench.stored == [0: 2])
    }

    @Test func `a full intake pauses after a moment and resumes at half`() {
        var bench = PipelineHarness {
            $0.maximumOpen = 4
            $0.hostsPerCall = 1
        }
        for n in 0..<4 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        #expect(!bench.pipeline.wantsRecords)
        #expect(bench.paused.isEmpty)
        bench.pass(.seconds(1))
        #expect(bench.paused == [0])
        bench.answer(200)
        #expect(bench.paused == [0])
        bench.answer(200)
        #expect(bench.paused.isEmpty)
        #expect(bench.pipeline.wantsRecords)
    }

    @Test func `a revoke waits for what is in flight, stores it, and leaves the rest`() {
        var bench = PipelineHarness(partitions: [0, 1]) { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        bench.receive(key: "b", plugin: "y")
        bench.hand(.revoked([0], isLost: false, deadline: bench.now.uptime + .seconds(20)))
        #expect(bench.released.isEmpty)
        bench.receive(key: "c")
        bench.answer(200)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.stored == [0: 1])
        #expect(bench.released == [0])
        #expect(bench.pipeline.assignedPartitions == [1])
    }

    @Test func `a lost partition stores nothing and a late answer is dropped`() {
        var bench = PipelineHarness()
        bench.receive(key: "a")
        bench.hand(.revoked([0], isLost: true, deadline: .zero))
        #expect(bench.released == [0])
        bench.answer(200)
        #expect(bench.results.isEmpty)
        #expect(bench.stored.isEmpty)
    }

    @Test func `a drain finishes calls, leaves what waits, and says when it is over`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        bench.receive(key: "b", plugin: "y")
        bench.hand(.drain)
        #expect(!bench.isDrained)
        bench.answer(200)
        #expect(bench.isDrained)
        #expect(bench.statuses == [.succeeded])
        #expect(bench.stored == [0: 1])
    }

    @Test func `a result that was not taken goes out again`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "a")
        bench.answer(200)
        bench.hand(.publishFailed(bench.unacknowledged.removeFirst(), reason: "no"))
        #expect(bench.results.count == 1)
        bench.pass(.seconds(1))
        #expect(bench.results.count == 2)
        bench.acknowledge()
        #expect(bench.stored == [0: 1])
    }

    @Test func `a result too large for the topic goes out with less in it`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "a", hosts: ["h1", "h2"], more: #","reason":"long","correlation_id":"c""#)
        bench.answer(200)
        bench.hand(.publishFailed(bench.unacknowledged.removeFirst(), reason: "size", isTooLarge: true))
        #expect(bench.results.last?.fields.reason == nil)
        #expect(bench.results.last?.fields.hostIDs == ["h1", "h2"])
        bench.hand(.publishFailed(bench.unacknowledged.removeFirst(), reason: "size", isTooLarge: true))
        #expect(bench.results.last?.fields.hostIDs == [])
        #expect(bench.results.last?.fields.correlationID == "c")
        bench.acknowledge()
        #expect(bench.stored == [0: 1])
    }

    @Test func `a request larger than a call is split and gets one result`() {
        var bench = PipelineHarness { $0.hostsPerCall = 2 }
        bench.receive(key: "a", hosts: ["1", "2", "3", "4", "5"])
        bench.settle()
        #expect(bench.statuses == [.succeeded])
        #expect(bench.results[0].attempts == 3)
    }

    @Test func `waiting requests of one scope share a call`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "first", hosts: ["h"])
        for n in 0..<50 { bench.receive(key: "k\(n)", hosts: ["h\(n)", "shared"]) }
        bench.answer(200)
        bench.pass(.seconds(60))
        #expect(bench.calls.count == 1)
        #expect(bench.calls[0].hostIDs.count == 51)
        bench.answer(200)
        #expect(bench.statuses == Array(repeating: .succeeded, count: 51))
    }

    @Test func `with ordering by key the second waits for the first`() {
        var bench = PipelineHarness {
            $0.keepsKeyOrder = true
            $0.hostsPerCall = 1
        }
        bench.receive(key: "a", hosts: ["1"], recordKey: "same")
        bench.receive(key: "b", hosts: ["2"], recordKey: "same")
        bench.receive(key: "c", hosts: ["3"], recordKey: "other")
        #expect(bench.calls.map(\.hostIDs) == [["1"], ["3"]])
        bench.answer(200)
        #expect(bench.calls.map(\.hostIDs) == [["3"], ["2"]])
    }

    @Test func `who cannot be called before his time is told so at once, and who is not called after it`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        let soon = (bench.now.wall + .seconds(50)).description
        let later = (bench.now.wall + .seconds(70)).description
        bench.receive(key: "b", plugin: "y", more: #","expires_at":"\#(soon)""#)
        #expect(bench.statuses == [.expired], "the one slot is free a window after an answer that is still to come")
        bench.receive(key: "c", plugin: "z", more: #","expires_at":"\#(later)""#)
        bench.answer(200)
        bench.pass(.seconds(60))
        bench.answer(503)
        #expect(bench.statuses == [.expired, .succeeded, .failed], "the next slot comes too late for another try")
        #expect(bench.results[2].failure?.code == "HTTP 503")
    }

    @Test func `the time at which a call would go decides, by the wall clock of then`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "a", plugin: "x")
        bench.answer(200)
        bench.receive(key: "b", plugin: "y", more: #","expires_at":"\#(bench.now.wall + .seconds(3600))""#)
        bench.pass(.seconds(30))
        bench.now.wall = bench.now.wall + .seconds(3600)
        bench.pass(.seconds(31))
        #expect(bench.statuses == [.succeeded, .expired] && bench.calls.isEmpty)
    }

    @Test func `the time in line does not count against the retry budget`() {
        var bench = PipelineHarness {
            $0.retryFor = .seconds(100)
            $0.quota = RateLimit(calls: 1, window: .seconds(600))
        }
        bench.receive(key: "a", plugin: "x")
        bench.answer(200)
        bench.receive(key: "b", plugin: "y")
        bench.pass(.seconds(600))
        bench.answer(503)
        #expect(bench.statuses == [.succeeded], "its first failure, ten minutes after it came")
        bench.pass(.seconds(600))
        bench.answer(503)
        #expect(bench.statuses == [.succeeded, .failed], "the budget is over")
    }

    @Test func `when calls fail in a row one probe at a time goes out, and nothing fails within the budget`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(900) }
        for n in 0..<10 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        #expect(bench.calls.count == 10)
        for _ in 0..<10 { bench.answer(503) }
        var probes = 0
        let ends = bench.now.uptime + .seconds(890)
        while bench.now.uptime < ends {
            #expect(bench.calls.count <= 1)
            if bench.calls.isEmpty {
                guard let deadline = bench.pipeline.deadline(bench.now) else { break }
                bench.pass(max(.milliseconds(1), deadline - bench.now.uptime))
            } else {
                probes += 1
                bench.answer(503)
            }
        }
        #expect(bench.results.isEmpty)
        #expect(probes > 10 && probes < 120)
        bench.settle()
        #expect(bench.statuses == Array(repeating: .succeeded, count: 10))
    }

    @Test func `another project's storm holds a single request up for two windows at most`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        for n in 0..<3_000 { bench.receive(key: "storm\(n)", hosts: ["h\(n)"], project: "storm") }
        bench.settleFor(.seconds(30))
        bench.receive(key: "single", project: "other", more: #","priority":"normal""#)
        let asked = bench.now.uptime
        for _ in 0..<10_000 where !bench.results.contains(where: { $0.fields.idempotencyKey == "single" }) {
            bench.settleFor(.seconds(1))
        }
        #expect(bench.now.uptime - asked <= .seconds(120))
        #expect(bench.results.count < 3_000)
    }

    @Test func `a bulk request is not passed over for ever by critical ones`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 1
        }
        bench.receive(key: "bulk", hosts: ["bulk"], more: #","priority":"bulk""#)
        bench.receive(key: "bulk2", hosts: ["bulk2"], more: #","priority":"bulk""#)
        let asked = bench.now.uptime
        for n in 0..<60 where !bench.results.contains(where: { $0.fields.idempotencyKey == "bulk2" }) {
            bench.receive(key: "c\(n)", hosts: ["c\(n)"], more: #","priority":"critical""#)
            bench.receive(key: "d\(n)", hosts: ["d\(n)"], more: #","priority":"critical""#)
            bench.settleFor(.seconds(60))
        }
        #expect(bench.results.contains { $0.fields.idempotencyKey == "bulk2" })
        #expect(bench.now.uptime - asked <= .seconds(1800))
    }

    @Test func `what was tried before a rebalance still counts after it`() {
        var bench = PipelineHarness { $0.retryFor = .seconds(600) }
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil,
            value: Array(#"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["h1"]}"#.utf8))
        bench.hand(.received(record))
        bench.hand(.tick)
        bench.answer(503)
        bench.hand(.revoked([0], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.released == [0])
        bench.hand(.assigned(0, Ledger()))
        bench.hand(.received(record))
        bench.settle()
        #expect(bench.results.map(\.attempts) == [2])
    }

    @Test func `an outage of five minutes, refused, hanging and cut off, fails nothing and is not answered by a storm`()
    {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 5, window: .seconds(60)) }
        for n in 0..<200 { bench.receive(key: "k\(n)", hosts: ["h\(n)"], plugin: "x\(n % 4)") }
        let began = bench.now.uptime
        var during = 0
        bench.play(20_000) { bench, _ in
            let age = bench.now.uptime - began
            if age < .seconds(300) { during += 1 }
            if age < .seconds(180) {
                bench.answer(503)
            } else if age >= .seconds(300) {
                bench.answer(200)
            } else {
                // Calls hang until their time is over. After that, connections are reset at once.
                if age < .seconds(240) { bench.pass(.seconds(30)) }
                bench.lose()
            }
        } read: { bench in
            if bench.now.uptime - began >= .seconds(300) {
                bench.tell { _ in ("stopped", "online") }
            } else {
                bench.refuseRead(503)
            }
        }
        print("calls in an outage of five minutes: \(during)")
        #expect(bench.statuses == Array(repeating: .succeeded, count: 200))
        #expect(during <= 25, "the quota's worth at most")
        #expect(bench.stored == [0: 200])
    }

    @Test func `a line that waits for its pause holds up no other`() {
        var bench = PipelineHarness()
        bench.receive(key: "a", project: "x")
        var pause: Duration { (bench.pipeline.deadline(bench.now) ?? bench.now.uptime) - bench.now.uptime }
        for _ in 0..<200 where pause < .seconds(10) {
            if !bench.calls.isEmpty {
                bench.answer(400, code: "HSS.1007")
            } else if !bench.queries.isEmpty {
                bench.tell { _ in ("stopped", "offline") }
            } else {
                bench.pass(.seconds(1))
            }
        }
        #expect(pause >= .seconds(10))
        // The host is offline, and its next call is a long way off.
        #expect(bench.calls.isEmpty && bench.pipeline.openCount == 1)
        let json = #"{"idempotency_key":"b","project_id":"y","plugin_code":"ndr","host_id_list":["h"]}"#
        let record = Record(
            position: Position(partition: 0, offset: 1), timestamp: nil, key: nil, value: Array(json.utf8))
        bench.hand(.received(record))
        #expect(bench.pipeline.deadline(bench.now) == bench.now.uptime)
        bench.pass(.zero)
        #expect(bench.calls.map(\.projectID) == ["y"])
    }

    @Test func `classes go in their order, the longest waiting first within one`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 1
        }
        bench.receive(key: "first", hosts: ["first"])
        for (n, priority) in ["bulk", "normal", "critical", "bulk", "normal", "critical"].enumerated() {
            bench.receive(key: "\(priority)\(n)", hosts: ["h\(n)"], more: #","priority":"\#(priority)""#)
            bench.pass(.milliseconds(10))
        }
        bench.settle()
        #expect(
            bench.results.map(\.fields.idempotencyKey)
                == ["first", "critical2", "critical5", "normal1", "normal4", "bulk0", "bulk3"])
    }

    @Test func `a request that waits for the rest of its hosts is not called past its time`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 1, window: .seconds(60))
            $0.hostsPerCall = 2
        }
        let soon = (bench.now.wall + .seconds(30)).description
        bench.receive(key: "k", hosts: ["h1", "h2", "h3"], more: #","expires_at":"\#(soon)""#)
        bench.pass(.seconds(31))
        bench.answer(200)
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results.first?.failedHosts.map(\.hostID) == ["h3"])
        bench.settleFor(.seconds(120))
        #expect(bench.calls.isEmpty)
    }

    @Test func `expiry after a part was seen to be done names the others`() {
        var bench = PipelineHarness()
        let soon = (bench.now.wall + .seconds(20)).description
        bench.receive(key: "k", hosts: ["h1", "h2", "h3"], more: #","expires_at":"\#(soon)""#)
        bench.lose()
        bench.tell { $0 == "h3" ? ("running", "online") : ("stopped", "online") }
        for _ in 0..<20 where bench.results.isEmpty {
            bench.pass(.seconds(5))
            while !bench.calls.isEmpty { bench.answer(503) }
        }
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results.first?.failedHosts.map(\.hostID) == ["h1", "h2"])
    }

    @Test func `a closed gate expires nobody whose time is not over`() {
        var bench = PipelineHarness()
        bench.receive(key: "a")
        bench.answer(401, code: "APIGW.0301")
        bench.answer(401, code: "APIGW.0301")
        let soon = (bench.now.wall + .seconds(15)).description
        bench.receive(key: "b", plugin: "x", more: #","expires_at":"\#(soon)""#)
        #expect(bench.results.isEmpty)
        bench.hand(.credentialChanged)
        bench.settleFor(.seconds(5))
        #expect(bench.statuses == [.succeeded, .succeeded])
    }

    @Test func `what failed for a while is not what a partial success failed of`() {
        var bench = PipelineHarness { $0.quota = RateLimit(calls: 1, window: .seconds(60)) }
        bench.receive(key: "k", hosts: ["bad", "h2"])
        bench.answer(400, code: "HSS.1001")
        bench.tell { $0 == "bad" ? ("not_installed", "not_installed") : ("stopped", "online") }
        bench.settleFor(.seconds(59))
        bench.pass(.seconds(2))
        bench.answer(503)
        for _ in 0..<10 {
            bench.tell { _ in ("stopped", "online") }
            bench.settleFor(.seconds(60))
        }
        #expect(bench.statuses == [.partiallySucceeded])
        #expect(bench.results.first?.failure?.code == "HSS.1001")
    }

    @Test func `a key that turns bad under load is refused three times at most`() {
        var bench = PipelineHarness {
            $0.quota = RateLimit(calls: 10, window: .seconds(60))
            $0.hostsPerCall = 1
        }
        for n in 0..<30 { bench.receive(key: "k\(n)", plugin: "x\(n)") }
        var refused: [Duration] = []
        let until = bench.now.uptime + .seconds(2000)
        while bench.now.uptime < until {
            if bench.calls.isEmpty {
                bench.pass(.seconds(1))
            } else {
                refused.append(bench.now.uptime)
                bench.answer(401, code: "APIGW.0301")
            }
        }
        #expect(refused.count >= 3)
        #expect(QuotaTests.most(refused, in: .seconds(300)) <= 3)
        #expect(bench.results.isEmpty)
    }

    @Test(arguments: [500, 429, nil]) func `what IAM has costs no attempt and fails nothing`(_ status: Int?) {
        var bench = PipelineHarness { $0.retryFor = .seconds(10) }
        bench.receive(key: "k")
        for _ in 0..<20 {
            if let call = bench.calls.popLast() {
                var reply = Reply()
                reply.source = .iam
                reply.httpStatus = status
                if status == nil { reply.transport = .lost("timeout") }
                bench.hand(.answered(call.id, reply))
            }
            bench.pass(.seconds(30))
        }
        #expect(bench.results.isEmpty && bench.queries.isEmpty)
        for _ in 0..<20 { if bench.calls.isEmpty { bench.pass(.seconds(30)) } else { bench.answer(200) } }
        #expect(bench.results.map(\.attempts) == [1])
    }

    @Test func `results that are not taken stop the intake until they are`() {
        var bench = PipelineHarness()
        bench.acknowledges = false
        bench.receive(key: "k")
        bench.answer(200)
        bench.pass(.seconds(4))
        #expect(bench.pipeline.wantsRecords)
        bench.pass(.seconds(2))
        #expect(!bench.pipeline.wantsRecords)
        #expect(bench.pipeline.unwrittenFor(bench.now.uptime) == .seconds(6))
        bench.pass(.seconds(2))
        #expect(bench.paused == [0])
        bench.acknowledge()
        #expect(bench.paused.isEmpty && bench.pipeline.wantsRecords)
    }

    @Test func `every result has a key, its id where its request has none`() {
        var bench = PipelineHarness()
        bench.receive("no json")
        let record = ResultWriter(requestsTopic: "r").record(bench.results[0])
        #expect(record.key == Array("r/0/0/rejected".utf8))
    }

    @Test func `a result that is too large keeps the hosts that failed as long as it can`() throws {
        var result = try #require(ResultExampleTests.results().first { $0.status == .partiallySucceeded })
        result.failedHosts[0].failure.detail = String(repeating: "x", count: 1000)
        let names = result.failedHosts.map(\.hostID)
        var steps = 0
        while let shorter = result.shorter, !shorter.failedHosts.isEmpty {
            result = shorter
            steps += 1
            #expect(result.failedHosts.map(\.hostID) == names)
            #expect(result.failedHosts.allSatisfy { $0.failure.code == "HSS.1001" })
        }
        #expect(steps == 3 && result.fields.hostIDs.isEmpty)
        #expect(result.shorter?.failedHosts == [])
    }

    @Test func `a result of any size can be made to fit`() {
        var result = StartResult(
            status: .rejected, fields: RequestFields(), position: Position(partition: 0, offset: 0),
            recordKey: Array(repeating: 65, count: 1_000_000), completedAt: Timestamp(milliseconds: 0))
        result.fields.tracestate = String(repeating: "x", count: 1_000_000)
        while let shorter = result.shorter { result = shorter }
        let record = ResultWriter(requestsTopic: "r").record(result)
        #expect(record.key.count + record.value.count < 2_000)
        #expect(record.headers.allSatisfy { ($0.value?.count ?? 0) < 1_000 })
    }

    /// A worker that calls for its group, with two calls a minute.
    static func caller() -> PipelineHarness {
        PipelineHarness(partitions: [0, 1]) {
            $0.quota = RateLimit(calls: 2, window: .seconds(60))
            $0.needsLease = true
        }
    }

    @Test func `no call goes before the group has made this worker its caller, nor after its lease is over`() {
        var bench = Self.caller()
        bench.receive(key: "a", hosts: ["a"])
        bench.pass(.seconds(1))
        #expect(bench.calls.isEmpty)
        bench.hand(.tookOver(.none))
        #expect(bench.calls.isEmpty, "the lease is not granted yet")
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        #expect(bench.calls.count == 1)
        bench.answer(200)
        bench.pass(.seconds(9))
        bench.receive(key: "b", hosts: ["b"])
        bench.pass(.seconds(1))
        #expect(bench.calls.isEmpty, "another worker may be the caller by now")
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        #expect(bench.calls.count == 1)
    }

    @Test func `the lease goes with partition 0, after all other partitions, and tells which slots are in use`() {
        var bench = Self.caller()
        bench.hand(.tookOver(.none))
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        bench.receive(key: "a", partition: 1)
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.released.isEmpty, "a call is on its way")
        bench.answer(200)
        #expect(bench.released == [1, 0])
        #expect(bench.handovers[1] == nil)
        #expect(bench.handovers[0]?.start == [bench.now.wall + .seconds(60)])
        bench.hand(.assigned(0, Ledger()))
        bench.receive(key: "b", partition: 0)
        #expect(bench.calls.isEmpty, "the lease is gone")
    }

    @Test func `a caller knows of the refusals that its predecessor met`() throws {
        var first = Self.caller()
        first.hand(.tookOver(.none))
        first.hand(.leased(until: first.now.uptime + .seconds(900)))
        for host in 0..<3 {
            first.receive(key: "k\(host)", project: "p\(host)")
            while first.calls.isEmpty { first.pass(.seconds(10)) }
            first.answer(401, code: "APIGW.0301")
        }
        first.hand(.revoked([0, 1], isLost: false, deadline: first.now.uptime + .seconds(10)))
        let handover = try #require(first.handovers[0])
        #expect(handover.refusals.count == 3)
        var next = Self.caller()
        next.now = first.now
        next.hand(.tookOver(.handedOver(handover)))
        next.hand(.leased(until: next.now.uptime + .seconds(900)))
        next.receive(key: "new", project: "other")
        next.pass(handover.refusals[0] - first.now.wall + .seconds(299))
        #expect(next.calls.isEmpty, "six in a row lock the key")
        next.pass(.seconds(2))
        #expect(next.calls.count == 1)
    }

    @Test func `who goes before it has taken over leaves what the caller before it left`() {
        var bench = Self.caller()
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.released == [1, 0])
        #expect(bench.handovers.isEmpty)
    }

    @Test func `a caller that gets its place back counts its own calls once`() throws {
        var bench = Self.caller()
        bench.hand(.tookOver(.none))
        bench.hand(.leased(until: bench.now.uptime + .seconds(9)))
        bench.receive(key: "a", partition: 1)
        bench.answer(200)
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        let handover = try #require(bench.handovers[0])
        bench.hand(.assigned(0, Ledger()))
        bench.hand(.assigned(1, Ledger()))
        bench.hand(.tookOver(.handedOver(handover)))
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        #expect(bench.handovers[0] == handover, "without a second for clocks that differ")
    }

    @Test func `a partition's end is committed behind what is open, and not when the partition is going`() {
        var bench = PipelineHarness(partitions: [0, 1])
        bench.hand(.reachedEnd(Position(partition: 1, offset: 7)))
        #expect(bench.stored == [1: 7])
        bench.receive(key: "k")
        bench.hand(.reachedEnd(Position(partition: 0, offset: 3)))
        #expect(bench.stored[0] == nil, "a record before it is open")
        bench.answer(200)
        #expect(bench.stored[0] == 3)
        bench.receive(key: "l", partition: 1)
        bench.hand(.revoked([0, 1], isLost: false, deadline: bench.now.uptime + .seconds(10)))
        bench.hand(.reachedEnd(Position(partition: 1, offset: 9)))
        #expect(bench.stored[1] == 7)
    }
}
