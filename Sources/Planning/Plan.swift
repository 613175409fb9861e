package import Core
internal import Sandbox

/// What the worker would do with these requests. It runs the worker's own core in virtual time, against the sandbox's
/// answers. It uses no network and no clock.
package struct Plan {
    package struct Call {
        /// The time since the start of the plan.
        package var at: Duration
        package var call: StartCall
        package var requests: Int
        /// The vendor's code if the call is refused.
        package var refusal: String?
    }

    package private(set) var calls: [Call] = []
    package private(set) var reads = 0
    package private(set) var results: [StartResult] = []
    /// When the last result was made.
    package private(set) var ends: Duration = .zero
    /// Requests that got no result. There should be none.
    package var unanswered: Int { arrivals.count - results.count }
    /// How long each request waited for its result, from its arrival. Only requests that were called are counted.
    package private(set) var waits: [(fields: RequestFields, priority: Priority, arrived: Duration, wait: Duration)] =
        []
    /// What the policy says about each valid request, at its arrival.
    package private(set) var decisions: [Position: PolicyDecision] = [:]
    private var pipeline: Pipeline
    private let decoder: RequestDecoder
    private var hss: FakeHSS
    private var now: Now
    private let began: Now
    private var arrivals: [Position: Duration] = [:]
    private var replies = ArraySlice<(id: CallID, reply: Reply)>()

    /// The records of each partition, in order. They arrive at their timestamps, or all at the start with `atOnce`. A
    /// record never arrives before the one ahead of it in its partition.
    package init(
        _ records: [Record], _ configuration: Pipeline.Configuration, hosts: Set<String>?, now: Now, atOnce: Bool
    ) {
        pipeline = Pipeline(configuration)
        decoder = RequestDecoder(maximumBytes: configuration.maximumRequestBytes, policy: .unrestricted)
        hss = FakeHSS(hosts: hosts)
        let timed = atOnce ? records.map { (at: Duration.zero, record: $0) } : Self.inOrder(records)
        let start = atOnce ? now.wall : records.compactMap(\.timestamp).min() ?? now.wall
        self.now = Now(uptime: now.uptime, wall: start)
        began = self.now
        for (at, record) in timed { arrivals[record.position] = at }
        for partition in Set(records.map(\.position.partition)).sorted() { hand(.assigned(partition, Ledger())) }
        run(timed)
    }

    /// The records with their times of arrival after the first one, in the order of these.
    private static func inOrder(_ records: [Record]) -> [(at: Duration, record: Record)] {
        guard let first = records.compactMap(\.timestamp).min() else { return records.map { (.zero, $0) } }
        var latest: [Int32: Duration] = [:]
        let timed = records.map { record -> (at: Duration, record: Record) in
            let before = latest[record.position.partition] ?? .zero
            let at = max(before, record.timestamp.map { $0 - first } ?? before)
            latest[record.position.partition] = at
            return (at, record)
        }
        return timed.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    private mutating func run(_ timed: [(at: Duration, record: Record)]) {
        var waiting = timed[...]
        while true {
            var fetched: [Record] = []
            while let next = waiting.first, next.at <= now.uptime - began.uptime,
                pipeline.wantsRecords(beside: fetched.count)
            {
                fetched.append(next.record)
                waiting.removeFirst()
            }
            for record in fetched { decide(record) }
            hand(.received(fetched))
            if let (id, reply) = replies.popFirst() {
                hand(.answered(id, reply))
                continue
            }
            let deadline = pipeline.openCount > 0 ? pipeline.deadline(now) : nil
            let arrival = waiting.first.map { max(now.uptime, began.uptime + $0.at) }
            // Nothing can happen any more. All is done then, or `unanswered` says what is not.
            guard let next = [deadline, pipeline.wantsRecords() ? arrival : nil].compactMap({ $0 }).min() else {
                return
            }
            pass(max(.milliseconds(1), next - now.uptime))
        }
    }

    private mutating func pass(_ time: Duration) {
        let uptime = now.uptime + time
        now = Now(uptime: uptime, wall: began.wall + (uptime - began.uptime))
    }

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
                case .publish(let id, let result, _):
                    ended(result)
                    events.append(.published(id))
                case .store, .pause, .resume, .takeAnew, .release, .drained, .log: break
                }
            }
        }
    }

    private mutating func decide(_ record: Record) {
        guard case .success(let request) = decoder.decode(record) else { return }
        decisions[record.position] = pipeline.policy.decision(for: request, at: now.wall)
    }

    private mutating func ended(_ result: StartResult) {
        results.append(result)
        // A full window is known only now.
        if let failure = result.failure, failure.code == "policy", decisions[result.position]?.refusal == nil,
            let limit = pipeline.policy.limits.first(where: { failure.detail?.contains("(\($0.name))") ?? false })
        {
            decisions[result.position]?.rule = limit.name
            decisions[result.position]?.refusal = PolicyRefusal(limit.name, "request", failure.detail ?? "")
        }
        ends = now.uptime - began.uptime
        guard result.call != nil, let priority = result.priority, let arrived = arrivals[result.position] else {
            return
        }
        waits.append((result.fields, priority, arrived, ends - arrived))
    }
}
