@testable import Core

/// Plays the worker's core at random. Its output for random requests, answers, crashes and passing time is a history in
/// which an audit must find nothing.
struct Play {
    var history = History()
    private var pipeline: Pipeline
    private var configuration: Pipeline.Configuration
    private var generator: SplitMix64
    private var now = Now(uptime: Uptime(.seconds(100)), wall: Timestamp(milliseconds: 1_767_225_600_000))
    private var fetched: [Record] = []
    private var calls: [StartCall] = []
    private var queries: [StatusQuery] = []
    private var unacknowledged: [RequestID] = []
    private var committed: Int64 = 0

    init(seed: UInt64, window: Duration = .seconds(600)) {
        generator = SplitMix64(seed: seed)
        configuration = Pipeline.Configuration(quota: nil)
        configuration.requestsTopic = History.topic
        configuration.hostsPerCall = 4
        configuration.retryFor = .seconds(20)
        configuration.dedupeWindow = window
        configuration.maximumRequestBytes = 2000
        configuration.seed = seed
        history.window = window
        pipeline = Pipeline(configuration)
        start()
    }

    /// A history of this many requests, all of them answered.
    static func history(seed: UInt64, requests: Int) -> History {
        var play = Play(seed: seed)
        for _ in 0..<requests {
            play.request()
            for _ in 0..<play.chance(4) { play.step() }
            if play.chance(40) == 0 { play.crash() }
            if play.chance(60) == 0 { play.pass(.seconds(700)) }
        }
        return play.end()
    }

    /// A history with several results of every kind. The core's sets and dictionaries are also random, so a seed alone
    /// does not reproduce a history (with SWIFT_DETERMINISTIC_HASHING=1 it does).
    static let everything: History = {
        var seed: UInt64 = 0
        while true {
            seed += 1
            let history = Self.history(seed: seed, requests: 200)
            let pointing = [Status.duplicate, .conflict].allSatisfy { status in
                history.places(status).contains { history.value($0)["original"]?["status"]?.string == "succeeded" }
            }
            let isTold = history.places(.rejected).contains {
                history.value($0)["error"]?["detail"]?.string?.contains("bytes, and is") ?? false
            }
            if pointing && isTold && Status.allCases.allSatisfy({ history.places($0).count > 2 }) { return history }
        }
    }()

    mutating func end() -> History {
        take()
        while pipeline.openCount > 0 || !unacknowledged.isEmpty {
            step()
            if calls.isEmpty && queries.isEmpty && unacknowledged.isEmpty, let next = pipeline.deadline(now) {
                pass(max(.milliseconds(1), next - now.uptime))
            }
        }
        history.now = now.wall + .seconds(3600)
        return history
    }

    /// A number below the bound.
    mutating func chance(_ bound: Int) -> Int { .random(in: 0..<bound, using: &generator) }

    // MARK: Steps

    mutating func request(_ json: String? = nil, headers: [Header] = []) {
        let offset = Int64(history.requests.count)
        let again = json == nil && chance(10) == 0 ? redriven() : nil
        let value = again?.value ?? (json ?? randomRequest()).map { Array($0.utf8) }
        let record = Record(
            position: Position(partition: 0, offset: offset), timestamp: now.wall,
            key: chance(5) == 0 ? nil : Array("record-key-\(offset % 7)".utf8),
            value: value,
            headers: headers + (again?.headers ?? [])
                + (chance(4) == 0 ? [Header("traceparent", Self.traceparent(offset))] : []))
        history.requests.append(record)
        fetched.append(record)
        if chance(2) == 0 { take() }
    }

    /// A copy of a request that failed, which names its result.
    private mutating func redriven() -> Record? {
        let failed = history.places(.failed, .partiallySucceeded)
        guard !failed.isEmpty else { return nil }
        let place = failed[chance(failed.count)]
        var record = history.requests[Int(history.request(place))]
        record.headers = [Header(Redrive.ofHeader, history.results[place].header("ce_id") ?? "")]
        return record
    }

    private static func traceparent(_ offset: Int64) -> String {
        let digits = String(offset + 1, radix: 16)
        return "00-4bf92f3577b34da6a3ce929d0e0e4736-\(String(repeating: "0", count: 16 - digits.count))\(digits)-01"
    }

    private mutating func take() {
        let records = fetched
        fetched = []
        if !records.isEmpty { hand(.received(records)) }
    }

    /// Performs one of the pending events.
    mutating func step() {
        take()
        switch chance(4) {
        case 0 where !unacknowledged.isEmpty:
            hand(.published(unacknowledged.removeFirst()))
        case 1 where !queries.isEmpty: tellStates()
        case 2 where !calls.isEmpty: answer()
        default:
            if !unacknowledged.isEmpty { hand(.published(unacknowledged.removeFirst())) } else { answer() }
            tellStates()
        }
        pass(.milliseconds(chance(3000)))
    }

    mutating func pass(_ time: Duration) {
        // Acknowledgements are late by seconds. They are never later than the time for which the audit keeps facts
        // beyond the window.
        while time > .seconds(60), !unacknowledged.isEmpty { hand(.published(unacknowledged.removeFirst())) }
        now = Now(uptime: now.uptime + time, wall: now.wall + time)
        hand(.tick)
    }

    /// Results that were not acknowledged are in the topic all the same. Requests that were not answered are read
    /// again.
    mutating func crash() {
        pipeline = Pipeline(configuration)
        (fetched, calls, queries, unacknowledged) = ([], [], [], [])
        start()
    }

    private mutating func start() {
        _ = pipeline.permits.accepted(1, AuthGate.Subject(project: ExactText("p")))
        var ledger = Ledger(topic: History.topic)
        for record in history.results {
            if let entry = LedgerEntry(record) { ledger.restore(entry) }
        }
        hand(.assigned(0, ledger))
        hand(.received(history.requests.filter { $0.position.offset >= committed }))
    }

    private mutating func answer() {
        guard !calls.isEmpty else { return }
        let call = calls.remove(at: chance(calls.count))
        var reply = Reply()
        switch chance(10) {
        case 0...4: reply.httpStatus = 200
        case 5, 6: (reply.httpStatus, reply.errorCode) = (400, "HSS.1001")
        case 7: reply.httpStatus = 503
        case 8: reply.transport = .lost("timeout")
        default: reply.httpStatus = chance(2) == 0 ? 403 : 429
        }
        hand(.answered(call.id, reply))
    }

    private mutating func tellStates() {
        guard !queries.isEmpty else { return }
        let query = queries.removeFirst()
        var reply = Reply()
        reply.httpStatus = 200
        reply.hosts = query.hostIDs.compactMap { host in
            switch chance(3) {
            case 0: nil
            case 1: HostStatus(hostID: host, pluginStatus: "running", agentStatus: "online")
            default: HostStatus(hostID: host, pluginStatus: "uninstalled", agentStatus: "online")
            }
        }
        hand(.answered(query.id, reply))
    }

    private mutating func hand(_ event: Event) {
        var unseen = pipeline.handle(event, now: now)[...]
        while let effect = unseen.popFirst() {
            switch effect {
            case .call(let call): calls.append(call)
            case .query(let query): queries.append(query)
            case .publish(let id, let result, _):
                let made = ResultWriter(requestsTopic: History.topic).record(result)
                history.append(
                    Record(
                        position: Position(partition: made.partition, offset: 0), timestamp: now.wall, key: made.key,
                        value: made.value, headers: made.headers))
                unacknowledged.append(id)
            case .store(_, let offset): committed = offset
            default: break
            }
        }
    }

    // MARK: Requests

    private mutating func randomRequest() -> String? {
        switch chance(30) {
        case 0: return nil
        case 1: return "not json"
        case 2: return #"{"idempotency_key":"k","project_id":"p"}"#
        case 3: return #"{"project_id":"p","plugin_code":"ndr","host_id_list":["h"],"reason":"no key"}"#
        case 4: return #"{"idempotency_key":"long","x":"\#(String(repeating: "y", count: 3000))"}"#
        default: break
        }
        var more = ""
        switch chance(8) {
        case 0: more = #","expires_at":"\#((now.wall + .seconds(chance(20) - 5)).description)""#
        case 1: more = #","correlation_id":"c-\#(chance(9))","requested_by":"soar","reason":"a test""#
        case 2: more = #","enterprise_project_id":"e""#
        case 3: more = #","operate_all":true"#
        default: break
        }
        let key = chance(15)
        // Mostly the hosts that the key always has, so that duplicates are as common as conflicts.
        let isSame = chance(3) > 0
        let hosts = (0..<3).map { isSame ? "\"h\(key + $0)\"" : "\"h\(chance(20))\"" }.joined(separator: ",")
        return #"{"idempotency_key":"k\#(key)","project_id":"p\#(chance(2))","plugin_code":"ndr","#
            + #""host_id_list":[\#(hosts)]\#(more)}"#
    }
}
