@testable import Core

/// A pipeline whose surroundings the test plays by hand. The test sends records, takes calls and results, and moves
/// time.
struct PipelineHarness {
    var pipeline: Pipeline
    var now = Now(uptime: Uptime(.seconds(100)), wall: Timestamp(milliseconds: 1_767_225_600_000))
    var calls: [StartCall] = []
    var queries: [StatusQuery] = []
    var results: [StartResult] = []
    var deadLetters: [DeadLetter] = []
    var unacknowledged: [RequestID] = []
    var stored: [Int32: Int64] = [:]
    var paused: Set<Int32> = []
    var released: [Int32] = []
    var handovers: [Int32: Handover] = [:]
    var isDrained = false
    var takenAnew: [Int32: Int64] = [:]
    var notes: [LogEvent] = []
    /// Whether results are acknowledged as soon as they are published.
    var acknowledges = true
    private var nextOffset: [Int32: Int64] = [:]
    private var fetched: [Record] = []

    init(partitions: [Int32] = [0], _ change: (inout Pipeline.Configuration) -> Void = { _ in }) {
        var configuration = Pipeline.Configuration(quota: nil)
        change(&configuration)
        pipeline = Pipeline(configuration)
        // The state after a first good answer. The gate has tests of its own.
        _ = pipeline.permits.accepted(1, AuthGate.Subject(project: ExactText("p")))
        for partition in partitions { hand(.assigned(partition, Ledger())) }
    }

    mutating func hand(_ event: Event) {
        var events = [event]
        while !events.isEmpty {
            for effect in pipeline.handle(events.removeFirst(), now: now) {
                switch effect {
                case .call(let call): calls.append(call)
                case .query(let query): queries.append(query)
                case .publish(let id, let result, let letter):
                    results.append(result)
                    if let letter { deadLetters.append(letter) }
                    if acknowledges { events.append(.published(id)) } else { unacknowledged.append(id) }
                case .store(let partition, let offset): stored[partition] = offset
                case .pause(let numbers): paused.formUnion(numbers)
                case .resume(let numbers): paused.subtract(numbers)
                case .release(let number, _, let handover):
                    released.append(number)
                    handovers[number] = handover
                case .drained: isDrained = true
                case .takeAnew(let partition, let offset): takenAnew[partition] = offset
                case .log(let note): notes.append(note)
                }
            }
        }
    }

    /// Receives a record at the partition's next offset. Without `isLast`, it is fetched together with the next one.
    mutating func receive(
        _ json: String, partition: Int32 = 0, key: String? = nil, headers: [Header] = [], skipping: Int64 = 0,
        isLast: Bool = true
    ) {
        let offset = (nextOffset[partition] ?? 0) + skipping
        nextOffset[partition] = offset + 1
        fetched.append(
            Record(
                position: Position(partition: partition, offset: offset), timestamp: now.wall,
                key: key.map { Array($0.utf8) }, value: Array(json.utf8), headers: headers))
        guard isLast else { return }
        let records = fetched
        fetched = []
        hand(.received(records))
    }

    mutating func receive(
        key: String, hosts: [String] = ["h1"], project: String = "p", plugin: String = "ndr", partition: Int32 = 0,
        recordKey: String? = nil, more: String = "", isLast: Bool = true
    ) {
        let list = hosts.map { "\"\($0)\"" }.joined(separator: ",")
        receive(
            #"{"idempotency_key":"\#(key)","project_id":"\#(project)","plugin_code":"\#(plugin)","host_id_list":[\#(list)]\#(more)}"#,
            partition: partition, key: recordKey, isLast: isLast)
    }

    /// Answers the oldest open call.
    mutating func answer(_ status: Int, code: String? = nil, text: String? = nil, limit: RateLimit? = nil) {
        guard !calls.isEmpty else { return }
        var reply = Reply()
        reply.httpStatus = status
        reply.errorCode = code
        reply.errorMessage = text
        reply.rateLimit = limit
        hand(.answered(calls.removeFirst().id, reply))
    }

    /// Answers every open call, and those that follow, in the same way.
    mutating func settleWith(_ status: Int, code: String, text: String) {
        while !calls.isEmpty { answer(status, code: code, text: text) }
    }

    mutating func lose() {
        guard !calls.isEmpty else { return }
        var reply = Reply()
        reply.transport = .lost("timeout")
        hand(.answered(calls.removeFirst().id, reply))
    }

    mutating func acknowledge() {
        let ids = unacknowledged
        unacknowledged = []
        for id in ids { hand(.published(id)) }
    }

    mutating func pass(_ time: Duration) {
        now = Now(uptime: now.uptime + time, wall: now.wall + time)
        hand(.tick)
    }

    /// Answers the oldest read with each host's states, or with none for an unknown host.
    mutating func tell(_ state: (String) -> (plugin: String, agent: String)?) {
        guard !queries.isEmpty else { return }
        let query = queries.removeFirst()
        var reply = Reply()
        reply.httpStatus = 200
        reply.hosts = query.hostIDs.compactMap { host in
            state(host).map { HostStatus(hostID: host, pluginStatus: $0.plugin, agentStatus: $0.agent) }
        }
        hand(.answered(query.id, reply))
    }

    mutating func refuseRead(_ status: Int) {
        guard !queries.isEmpty else { return }
        var reply = Reply()
        reply.httpStatus = status
        hand(.answered(queries.removeFirst().id, reply))
    }

    /// Continues until nothing is open. Each step takes the oldest call, else the oldest read, else moves to the next
    /// deadline.
    mutating func play(
        _ limit: Int, call: (inout PipelineHarness, StartCall) -> Void, read: (inout PipelineHarness) -> Void
    ) {
        for _ in 0..<limit where pipeline.openCount > 0 {
            if let first = calls.first {
                call(&self, first)
            } else if !queries.isEmpty {
                read(&self)
            } else if let deadline = pipeline.deadline(now) {
                pass(max(.milliseconds(1), deadline - now.uptime))
            } else {
                return
            }
        }
    }

    /// Moves to each deadline in turn and answers every call with success, until nothing more happens by itself.
    mutating func settle(limit: Int = 10_000) {
        for _ in 0..<limit {
            if !calls.isEmpty {
                answer(200)
            } else if pipeline.openCount > 0, let deadline = pipeline.deadline(now) {
                pass(max(.milliseconds(1), deadline - now.uptime))
            } else {
                return
            }
        }
    }

    /// Does the same, but only for a time.
    mutating func settleFor(_ time: Duration) {
        let end = now.uptime + time
        while now.uptime < end {
            if !calls.isEmpty {
                answer(200)
                continue
            }
            pass(max(.milliseconds(1), min(pipeline.deadline(now) ?? end, end) - now.uptime))
        }
    }

    var statuses: [Status] { results.map(\.status) }
}
