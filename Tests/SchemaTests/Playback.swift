@testable import Core

/// Plays random requests to the worker's core, and random answers of HSS.
struct Playback {
    private(set) var results: [StartResult] = []
    private var pipeline: Pipeline
    private var now = Now(uptime: Uptime(.seconds(100)), wall: Timestamp(milliseconds: 1_767_225_600_000))
    private var chance: SplitMix64
    private var open: [(id: CallID, hosts: [String], isRead: Bool)] = []
    private var offset: Int64 = 0
    /// The body of the request before, which the next one may repeat.
    private var last = "{}"

    init(seed: UInt64) {
        var configuration = Pipeline.Configuration(quota: nil)
        configuration.hostsPerCall = 2
        configuration.policy.allowOperateAll = true
        pipeline = Pipeline(configuration)
        chance = SplitMix64(seed: seed)
        hand(.assigned(0, Ledger()))
    }

    /// The results of these records, with every call answered with success.
    static func results(of records: [Record]) -> [StartResult] {
        var playback = Playback(seed: 0)
        playback.hand(.received(records))
        while !playback.open.isEmpty { playback.answer(good: true) }
        return playback.results
    }

    mutating func play(requests count: Int) {
        for _ in 0..<count {
            receive()
            if below(3) == 0 { answer(good: false) }
        }
        while pipeline.openCount > 0 {
            if !open.isEmpty {
                answer(good: false)
            } else if let next = pipeline.deadline(now) {
                let pause = max(.milliseconds(1), next - now.uptime)
                now = Now(uptime: now.uptime + pause, wall: now.wall + pause)
                hand(.tick)
            } else {
                return
            }
        }
    }

    private mutating func below(_ bound: Int) -> Int { .random(in: 0..<bound, using: &chance) }

    private mutating func hand(_ event: Event) {
        var events = [event]
        while !events.isEmpty {
            for effect in pipeline.handle(events.removeFirst(), now: now) {
                switch effect {
                case .call(let call): open.append((call.id, call.hostIDs, false))
                case .query(let query): open.append((query.id, query.hostIDs, true))
                case .publish(let id, let result, _):
                    results.append(result)
                    events.append(.published(id))
                default: break
                }
            }
        }
    }

    private mutating func receive() {
        let hosts = (0...below(4)).map { _ in "\"h\(below(12))\"" }.joined(separator: ",")
        let more = [
            "", #","reason":"r","requested_by":"s","correlation_id":"c","enterprise_project_id":"0""#,
            #","expires_at":"2026-01-01T00:10:00Z""#, #","expires_at":"2020-01-01T00:00:00Z""#, #","operate_all":true"#,
            #","priority":"urgent""#, #","enterprise_project_id":"all_granted_eps""#,
        ][below(7)]
        let new =
            #"{"idempotency_key":"k\#(below(2_000))","project_id":"p","plugin_code":"ndr","host_id_list":[\#(hosts)]\#(more)}"#
        let body = below(4) == 0 ? last : new
        last = new
        let record = Record(
            position: Position(partition: 0, offset: offset), timestamp: below(9) == 0 ? nil : now.wall, key: nil,
            value: below(20) == 0 ? nil : Array(body.utf8))
        offset += 1
        hand(.received([record]))
    }

    private mutating func answer(good: Bool) {
        guard !open.isEmpty else { return }
        let call = open.remove(at: good ? 0 : below(open.count))
        var reply = Reply()
        reply.httpStatus = 200
        if call.isRead {
            reply.hosts = call.hosts.filter { _ in below(4) > 0 }.map {
                HostStatus(hostID: $0, pluginStatus: ["stopped", "running"][below(2)], agentStatus: "online")
            }
        } else if !good {
            switch below(5) {
            case 0: (reply.httpStatus, reply.errorCode, reply.errorMessage) = (400, "HSS.1001", "No agent.")
            case 1: (reply.httpStatus, reply.errorCode, reply.errorMessage) = (503, nil, "away")
            case 2: (reply.httpStatus, reply.transport) = (nil, .lost("timeout"))
            default: reply.requestID = "id"
            }
        }
        hand(.answered(call.id, reply))
    }
}
