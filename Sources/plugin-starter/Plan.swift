internal import Core
internal import Sandbox

/// What the worker would do with the requests that exist now. It runs the worker's own core in virtual time, against
/// the sandbox's answers. It uses no network and no clock.
nonisolated struct Plan {
    struct Call {
        /// The time since the start of the plan.
        var at: Duration
        var call: StartCall
        var requests: Int
        /// The vendor's code if the call is refused.
        var refusal: String?
    }

    private(set) var calls: [Call] = []
    private(set) var reads = 0
    private(set) var results: [StartResult] = []
    /// When the last result was made.
    private(set) var ends: Duration = .zero
    private var pipeline: Pipeline
    private var hss: FakeHSS
    private var now: Now
    private let began: Now
    private var replies = ArraySlice<(id: CallID, reply: Reply)>()

    init(_ records: [Record], _ configuration: Pipeline.Configuration, hosts: Set<String>?, now: Now) {
        pipeline = Pipeline(configuration)
        hss = FakeHSS(hosts: hosts)
        (self.now, began) = (now, now)
        for partition in Set(records.map(\.position.partition)).sorted() { hand(.assigned(partition, Ledger())) }
        var waiting = records[...]
        while true {
            var fetched: [Record] = []
            while pipeline.wantsRecords(beside: fetched.count), let record = waiting.popFirst() {
                fetched.append(record)
            }
            hand(.received(fetched))
            if let (id, reply) = replies.popFirst() {
                hand(.answered(id, reply))
            } else if pipeline.openCount > 0, let deadline = pipeline.deadline(self.now) {
                pass(max(.milliseconds(1), deadline - self.now.uptime))
            } else if waiting.isEmpty {
                return
            }
        }
    }

    private mutating func pass(_ time: Duration) { now = Now(uptime: now.uptime + time, wall: now.wall + time) }

    private mutating func hand(_ event: Event) {
        var events = [event][...]
        while let event = events.popFirst() {
            for effect in pipeline.handle(event, now: now) {
                switch effect {
                case .call(let call):
                    let reply = hss.answer(call)
                    calls.append(Call(at: now.uptime - began.uptime, call: call, requests: 0, refusal: reply.errorCode))
                    replies.append((call.id, reply))
                case .log(.called(_, let requests)): calls[calls.count - 1].requests = requests
                case .query(let query):
                    reads += 1
                    replies.append((query.id, hss.answer(query)))
                case .publish(let id, let result):
                    results.append(result)
                    ends = now.uptime - began.uptime
                    events.append(.published(id))
                case .store, .pause, .resume, .takeAnew, .release, .drained, .log: break
                }
            }
        }
    }
}
