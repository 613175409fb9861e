package import Core

/// Simulates Kafka, its group, HSS, the network and the clock around real pipelines. It checks for forbidden outcomes
/// as they would happen. `violation` keeps the first broken rule.
package final class World {
    package struct Settings: Sendable {
        package var partitions: Int
        package var members: Int
        package var quota: RateLimit?
        package var isCooperative: Bool
        package var hostsPerCall: Int
        package var pacing: Double
        package var maximumOpen: Int
        /// How long keys are remembered. This can be longer than any schedule lasts, or shorter.
        package var dedupeWindow: Duration
        /// What HSS still refuses at the end, for as long as any other work remains.
        var lasting: SimulatedHSS.Fault?
        package var seed: UInt64
        package var mutations = Mutations()

        init(using generator: inout SplitMix64, members: ClosedRange<Int>?) {
            let count = members ?? (Int.random(in: 0..<8, using: &generator) == 0 ? 4...12 : 1...3)
            self.members = Int.random(in: count, using: &generator)
            partitions = Int.random(in: 1...(self.members > 3 ? 12 : 4), using: &generator)
            let limits = [nil, 1, 2, 5]
            let calls = limits[Int.random(in: 0..<4, using: &generator)]
            quota = calls.map { RateLimit(calls: $0, window: .seconds(60)) }
            isCooperative = Bool.random(using: &generator)
            hostsPerCall = Int.random(in: 1...6, using: &generator)
            maximumOpen = Int.random(in: 3...12, using: &generator)
            dedupeWindow = Int.random(in: 0..<4, using: &generator) == 0 ? .seconds(200) : .seconds(86_400)
            let faults: [SimulatedHSS.Fault] = [.refusesOneProject, .refusesOnePlugin, .blamesHostsOfOnePlugin]
            let drawn = Int.random(in: 0..<12, using: &generator)
            lasting = drawn < faults.count ? faults[drawn] : nil
            // Refused requests must not prevent the worker from taking others at all.
            if lasting != nil { maximumOpen = 1000 }
            seed = generator.next()
            pacing = [0, 1, 1, 2][Int(seed % 4)]
        }
    }

    /// Events that happen without a step.
    enum Occurrence {
        case arrives(member: Int, Sent)
        case answered(member: Int, CallID, Reply)
        case expelled(member: Int)
        case told(member: Int)
        /// The coordinator acknowledges a commit of the caller. `sentAt` is when the commit was sent.
        case committed(member: Int, term: Int, sentAt: Uptime)
        case renews(member: Int, term: Int)
        case setsClockRight(member: Int, by: Duration)
    }

    enum Sent {
        case start(StartCall)
        case status(StatusQuery)

        var id: CallID {
            switch self {
            case .start(let call): call.id
            case .status(let query): query.id
            }
        }
    }

    /// How long the group waits for a silent member.
    static let session: Duration = .seconds(10)
    static let deadLetters: Set<Status> = [.failed, .rejected]
    static let start = Uptime(.seconds(1000))

    package let settings: Settings
    /// How often the schedules met each special situation.
    package internal(set) var met: [String: Int] = [:]
    package internal(set) var violation: String?
    var place = ""
    /// What happened, line by line, if a trace is wanted.
    package internal(set) var trace: [String]?
    var generator: SplitMix64
    /// The world's clock. Each member counts from a boot of its own.
    var time = World.start
    var events: [(at: Uptime, event: Occurrence)] = []
    var members: [Member] = []
    var kafka: SimulatedKafka
    var hss: SimulatedHSS
    var refusals = Refusals()
    var isHealed = false
    /// Events that wait to be delivered, so that no pipeline is entered twice.
    private var inbox: [(member: Int, event: Event)] = []
    private var requestCount = 0
    private var keys: [(key: String, project: String, plugin: String, hosts: [String], partition: Int)] = []
    var partitionOfHost: [String: Int32] = [:]

    init(_ settings: Settings, isTraced: Bool = false) {
        self.settings = settings
        trace = isTraced ? ["\(settings)"] : nil
        generator = SplitMix64(seed: settings.seed)
        kafka = SimulatedKafka(
            partitions: settings.partitions, isCooperative: settings.isCooperative, isExclusive: settings.quota != nil,
            dedupeWindow: settings.dedupeWindow)
        hss = SimulatedHSS(quota: settings.quota)
        for _ in 0..<settings.members { start() }
    }

    func broken(_ rule: String) {
        if violation == nil { violation = "\(rule) (at \(place), \(time) of the clock)" }
    }

    func note(_ line: @autoclosure () -> String) {
        if trace != nil { trace?.append("\((time - Self.start).milliseconds) ms: \(line())") }
    }

    func schedule(_ event: Occurrence, after delay: Duration) {
        let at = time + delay
        let place = events.firstIndex { $0.at > at } ?? events.count
        events.insert((at, event), at: place)
    }

    func milliseconds(_ range: ClosedRange<Int64>) -> Duration {
        .milliseconds(Int64.random(in: range, using: &generator))
    }

    // MARK: Steps

    func take(_ step: Step) {
        note("\(step)")
        let living = members.indices.filter { members[$0].isAlive && !members[$0].isFrozen }
        let member = living.isEmpty ? nil : living[Int(step.a) % living.count]
        switch step.kind {
        case .request: request(step)
        case .time: advance(.milliseconds(Int64(step.a % 3000)))
        case .longTime: advance(.seconds(Int64(step.a % 90)))
        case .start: if living.count < max(3, settings.members) { start() }
        case .thaw: thaw(step)
        case .fault: hss.fault = SimulatedHSS.Fault.allCases[Int(step.a) % SimulatedHSS.Fault.allCases.count]
        case .fetch: if let member { fetch(member, Int(step.b % 5) + 1) }
        case .append: if let member { append(member, Int(step.b % 4) + 1) }
        case .acknowledge: if let member { acknowledge(member, Int(step.b % 4) + 1) }
        case .refuse: if let member { refuse(member) }
        case .commit: if let member { commit(member) }
        case .crash: if let member { crash(member) }
        case .stop: if let member, living.count > 1 || step.b % 2 == 0 { hand(member, .drain) }
        case .freeze: if let member { freeze(member) }
        case .cut: if let member { cut(member) }
        case .mend: for index in members.indices where members[index].isCut { mend(index) }
        case .addPartition: addPartition()
        case .recreate, .truncate, .delete: changeLog(step)
        case .clock: if let member { stepClock(member, step) }
        }
        for index in members.indices { tellOfResets(index) }
        deliver()
    }

    /// A clock goes wrong, and is corrected before the worker believes it.
    private func stepClock(_ member: Int, _ step: Step) {
        // Two overlapping steps could last longer than one.
        guard !members[member].hasStepped else { return }
        members[member].hasStepped = true
        let isForward = step.b % 3 > 0
        met[isForward ? "a clock steps forward" : "a clock steps back", default: 0] += 1
        let by: Duration = .seconds((isForward ? 1 : -1) * (10 + Int64(step.b >> 4) % 200_000))
        members[member].skew += by
        schedule(.setsClockRight(member: member, by: by), after: .seconds(Int64(step.a % 590)))
    }

    private func request(_ step: Step) {
        requestCount += 1
        let repeats = step.b % 4 == 0 && !keys.isEmpty
        if !repeats {
            let hosts = (0...Int(step.b % 3)).map { host in
                (step.a % 7 == 0 && host == 0 ? "bad" : "h") + "\(requestCount)-\(host)"
            }
            let project = "p\((step.a >> 8) % 3)"
            let plugin = (step.a >> 12) % 4 == 0 ? "av" : "ndr"
            keys.append(("k\(requestCount)", project, plugin, hosts, Int(step.a) % settings.partitions))
            for host in hosts { partitionOfHost[host] = Int32(Int(step.a) % settings.partitions) }
        }
        var chosen = keys[repeats ? Int(step.a) % keys.count : keys.count - 1]
        var headers: [Header] = []
        if repeats, (step.b >> 8) % 2 == 0, let failed = kafka.failedResult(Int32(chosen.partition), Int(step.b >> 9)),
            let again = keys.first(where: { $0.key == failed.key })
        {
            met["sent again", default: 0] += 1
            chosen = again
            headers = [Header(Redrive.ofHeader, failed.id)]
        }
        if repeats && step.b % 5 == 0 { chosen.hosts = ["other\(requestCount)"] }
        let hosts = chosen.hosts.map { "\"\($0)\"" }.joined(separator: ",")
        let expiry = step.b % 11 == 0 ? ",\"expires_at\":\"\(Self.wall(time + .seconds(90)))\"" : ""
        let json =
            step.b % 13 == 0
            ? "{\"n\":\(requestCount)}"
            : "{\"idempotency_key\":\"\(chosen.key)\",\"project_id\":\"\(chosen.project)\",\"plugin_code\":\"\(chosen.plugin)\","
                + "\"host_id_list\":[\(hosts)],\"n\":\(requestCount)\(expiry)}"
        // No two records are identical to the last byte.
        kafka.produce(json, key: chosen.key, to: Int32(chosen.partition), at: Self.wall(time), headers: headers)
    }

    static func wall(_ time: Uptime) -> Timestamp { Timestamp(milliseconds: 1_767_225_600_000) + time.sinceBoot }

    /// Lets time pass. Due events happen in order, and each member is woken at the time that it asked for.
    func advance(_ duration: Duration) {
        let end = time + duration
        for _ in 0..<400 where violation == nil {
            let event = events.first.map(\.at)
            var wake: (at: Uptime, member: Int)?
            for index in members.indices where members[index].isAlive && !members[index].isFrozen {
                guard let at = members[index].wakesAt(time) else { continue }
                if wake.map({ at < $0.at }) ?? true { wake = (at, index) }
            }
            let next = [event, wake?.at].compactMap { $0 }.min()
            guard let next, next <= end else { break }
            time = max(time, next)
            if let event, event <= next {
                happen(events.removeFirst().event)
            } else if let wake {
                hand(wake.member, .tick)
                // Waking a member twice at the same moment changes nothing.
                members[wake.member].wokenAt = time
            }
            deliver()
        }
        time = max(time, end)
    }

    private func happen(_ event: Occurrence) {
        switch event {
        case .arrives(let member, let sent): arrives(member, sent)
        case .answered(let member, let call, let reply):
            guard members[member].isAlive else { return }
            guard !members[member].isFrozen else {
                schedule(event, after: .seconds(1))
                return
            }
            hand(member, .answered(call, reply))
        case .expelled(let member):
            guard kafka.group.isMember(member), members[member].isSilent else { return }
            let since = time - members[member].lastContact
            guard since >= Self.session else { return schedule(event, after: Self.session - since) }
            members[member].isExpelled = true
            members[member].isUnsure = true
            for index in members[member].pending.indices { members[member].pending[index].isFromZombie = true }
            leave(member)
        case .renews(let member, let term): renew(member, term)
        case .setsClockRight(let member, let step):
            members[member].skew -= step
            members[member].hasStepped = false
        case .committed(let member, let term, let sentAt): acknowledged(member, term, sentAt: sentAt)
        case .told(let member):
            guard members[member].isAlive, members[member].isExpelled, !members[member].isCut else { return }
            hand(member, .revoked(members[member].owned.keys.sorted(), isLost: true, deadline: .zero))
            deliver()
            members[member].isExpelled = false
            guard !members[member].isDraining else { return members[member].isAlive = false }
            kafka.group.join(member, rank: member)
            rebalance()
        }
    }

    private func arrives(_ member: Int, _ sent: Sent) {
        note("call of \(member) arrives: \(sent)")
        let outcome = hss.take(sent, at: time, using: &generator)
        if let rule = outcome.violation { broken(rule) }
        if outcome.reply.httpStatus == 401 || outcome.reply.errorCode == "HSS.0013"
            || outcome.reply.errorCode == "HSS.0001"
        {
            met["refused: \(hss.fault)", default: 0] += 1
        }
        if settings.quota != nil, let rule = refusals.take(outcome.reply, of: member, at: time) { broken(rule) }
        schedule(.answered(member: member, sent.id, outcome.reply), after: milliseconds(0...1500))
    }

    // MARK: Facts

    func hand(_ member: Int, _ event: Event) { inbox.append((member, event)) }

    func deliver() {
        while !inbox.isEmpty, violation == nil {
            let (member, event) = inbox.removeFirst()
            guard members[member].isAlive else { continue }
            play(member, event)
        }
    }
}
