import Core

/// One worker process: a real pipeline and its surroundings.
final class Member {
    struct Owned {
        var fetchFrom: Int64
        var stored: Int64
        var isPaused = false
        /// The log's end that the consumer has reported.
        var toldEnd: Int64?
        /// The partition's log went back, and the consumer has not noticed it yet.
        var isOutdated = false
        /// Set while the partition is being revoked.
        var revokedUntil: Duration?
    }

    /// A result that is on its way to its topic.
    struct Pending {
        var request: RequestID
        var result: StartResult
        var isAppended = false
        /// Made after the group had gone on without the process.
        var isFromZombie = false
    }

    var pipeline: Pipeline
    let offset: Duration
    var skew: Duration
    /// The member's clock is wrong.
    var hasStepped = false
    private var clock = SteadyClock()
    var isAlive = true
    var isFrozen = false
    /// The group has gone on without this member.
    var isExpelled = false
    /// The member cannot reach the broker, but still reaches HSS.
    var isCut = false
    /// When the coordinator received the member's last commit.
    var lastContact: Duration = .zero
    /// Counts how often the member had the lease.
    var term = 0
    /// The caller before this one, until the coordinator has acknowledged the takeover.
    var previous: PreviousOwner?
    /// What the member writes about the callers before it in the metadata of each commit.
    var inherited = ""
    /// The metadata of a commit without a handover.
    func metadata(_ partition: Int32) -> String { partition == 0 ? inherited : "" }
    var isSilent: Bool { !isAlive || isFrozen || isCut }
    var isDraining = false
    /// Drained. The member gives back every partition that it has or gets.
    var isClosing = false
    var owned: [Int32: Owned] = [:]
    var pending: [Pending] = []
    var inFlight: [CallID: [String]] = [:]
    /// The number of answered calls for each record, until the record has a result.
    var answered: [Position: Int] = [:]
    /// Requests whose result was published. It can be published again.
    var ended: Set<RequestID> = []
    /// Requests were dropped with calls in flight, so attempts are no longer compared.
    var isUnsure = false
    var wokenAt: Duration?
    /// When the pipeline asked to be woken after the last event, by the world's clock.
    private var deadline: Duration?

    /// The member has watched its clock for long enough to trust it.
    init(_ pipeline: Pipeline, offset: Duration, skew: Duration, at time: Duration) {
        (self.pipeline, self.offset, self.skew) = (pipeline, offset, skew)
        _ = now(time - SteadyClock.patience)
    }

    func uptime(_ time: Duration) -> Duration { time - offset }

    func now(_ time: Duration) -> Now {
        if pipeline.configuration.mutations.has(.believesEachStepOfAClock) { clock = SteadyClock() }
        return clock.now(Now(uptime: uptime(time), wall: World.wall(time) + skew))
    }

    func handle(_ event: Event, at time: Duration) -> [Effect] {
        let now = now(time)
        let effects = pipeline.handle(event, now: now)
        deadline = Self.deadline(&pipeline, now).map { $0 + offset }
        return effects
    }

    func wantsRecords(beside count: Int = 0) -> Bool { Self.wantsRecords(&pipeline, beside: count) }

    // Reads through `inout`, because the property of a class would be copied.
    private static func deadline(_ pipeline: inout Pipeline, _ now: Now) -> Duration? { pipeline.deadline(now) }
    private static func wantsRecords(_ pipeline: inout Pipeline, beside count: Int) -> Bool {
        pipeline.wantsRecords(beside: count)
    }

    func wakesAt(_ time: Duration) -> Duration? {
        guard let deadline else { return nil }
        let at = max(time, deadline)
        return at == wokenAt ? at + .milliseconds(1) : at
    }
}

extension World {
    func start() {
        var configuration = Pipeline.Configuration(quota: settings.quota)
        configuration.needsLease = settings.quota != nil
        configuration.requestsTopic = kafka.writer.requestsTopic
        configuration.hostsPerCall = settings.hostsPerCall
        configuration.maximumOpen = settings.maximumOpen
        configuration.concurrency = 3
        configuration.retryFor = .seconds(240)
        configuration.dedupeWindow = settings.dedupeWindow
        configuration.callPrefix = "m\(members.count)"
        configuration.seed = generator.next()
        configuration.mutations = settings.mutations
        members.append(
            Member(
                Pipeline(configuration), offset: milliseconds(0...900_000), skew: milliseconds(-400...400), at: time))
        members[members.count - 1].lastContact = time
        // Mostly the clocks agree on which member was first.
        let isBehind = Int.random(in: 0..<8, using: &generator) == 0
        if isBehind && members.count > 1 { met["joined with a clock that is behind", default: 0] += 1 }
        kafka.group.join(members.count - 1, rank: isBehind ? -members.count : members.count - 1)
        rebalance()
    }

    // MARK: The group

    /// Asks for partitions that have to be revoked, and assigns those that are free.
    func rebalance() {
        for (member, partitions) in kafka.group.toRevoke() {
            for partition in partitions {
                members[member].owned[partition]?.revokedUntil = time + .seconds(25)
            }
            if members[member].isAlive {
                let deadline = members[member].uptime(time) + .seconds(25)
                hand(member, .revoked(partitions, isLost: false, deadline: deadline))
            }
        }
        var ledgers: [Int: [Int32: Ledger]] = [:]
        let given = kafka.group.toAssign()
        for (partition, member) in given { land(of: member, partition) }
        for (partition, member) in given {
            ledgers[member, default: [:]][partition] = assign(partition, to: member)
        }
        guard settings.quota != nil, let (member, all) = ledgers.first else { return }
        if members[member].owned[0] != nil && all[0] == nil { return }
        members[member].term += 1
        let previous = kafka.previousOwner(all)
        note("\(member) takes over: \(previous)")
        members[member].previous = previous
        inherit(member, previous)
        sendCommit(member)
        schedule(.renews(member: member, term: members[member].term), after: renewal)
    }

    /// Results of this member that are still on their way reach their topic before the member reads it.
    private func land(of member: Int, _ partition: Int32) {
        let isPending = { (entry: Member.Pending) in
            entry.result.position.partition == partition && !entry.isAppended
        }
        guard members[member].pending.contains(where: isPending) else { return }
        met["regained a partition with results on their way", default: 0] += 1
        if settings.mutations.has(.readsResultsBeforeItsOwnHaveLanded) {
            for index in members[member].pending.indices { members[member].pending[index].isFromZombie = false }
            return
        }
        for index in members[member].pending.indices where isPending(members[member].pending[index]) {
            appendOne(member, index)
        }
    }

    // MARK: The lease

    /// The time between two commits of the caller.
    private var renewal: Duration { isHealed ? .seconds(500) : .seconds(8) }
    /// How long the lease lasts from the sending of a commit. After everything is repaired, a member with the lease
    /// loses it only by giving it back.
    private func lease(_ member: Int) -> Duration {
        isHealed && !members[member].isExpelled ? .seconds(600) : Self.session * 9 / 10
    }

    /// Sends a commit of partition 0 to the coordinator, which answers if it still knows the member.
    private func sendCommit(_ member: Int) {
        let term = members[member].term
        guard !members[member].isSilent, kafka.group.owner[0] == member, let owned = members[member].owned[0] else {
            return
        }
        members[member].lastContact = time
        if !owned.isOutdated, let rule = kafka.commit(0, owned.stored, members[member].inherited) { broken(rule) }
        schedule(
            .committed(member: member, term: term, sentAt: time), after: milliseconds(0...300))
    }

    func inherit(_ member: Int, _ previous: PreviousOwner) {
        guard settings.quota != nil else { return }
        members[member].inherited = previous.inherited(
            members[member].now(time).wall, members[member].pipeline.configuration)
    }

    func renew(_ member: Int, _ term: Int) {
        guard members[member].isAlive, members[member].term == term, members[member].owned[0] != nil else { return }
        if members[member].owned[0]?.revokedUntil == nil { sendCommit(member) }
        schedule(.renews(member: member, term: term), after: renewal)
    }

    func acknowledged(_ member: Int, _ term: Int, sentAt: Duration) {
        guard members[member].isAlive, members[member].term == term, members[member].owned[0] != nil else { return }
        // A frozen process receives the acknowledgement when it continues.
        if members[member].isFrozen {
            schedule(.committed(member: member, term: term, sentAt: sentAt), after: .seconds(1))
            return
        }
        if let previous = members[member].previous {
            members[member].previous = nil
            hand(member, .tookOver(previous))
        }
        hand(member, .leased(until: members[member].uptime(sentAt + lease(member))))
    }

    func cut(_ member: Int) {
        members[member].isCut = true
        met["cut off from the broker", default: 0] += 1
        schedule(.expelled(member: member), after: Self.session)
    }

    func mend(_ member: Int) {
        members[member].isCut = false
        if members[member].isExpelled { schedule(.told(member: member), after: milliseconds(0...3000)) }
    }

    func addPartition() {
        guard kafka.group.partitions < 13 else { return }
        met["partition added", default: 0] += 1
        kafka.addPartition()
        rebalance()
    }

    func leave(_ member: Int) {
        kafka.group.leave(member)
        rebalance()
    }

    private func assign(_ partition: Int32, to member: Int) -> Ledger {
        let ledger = kafka.restore(partition, now: members[member].now(time).wall)
        let from = kafka.start(partition)
        if let mark = kafka.committed[partition], mark.offset > from {
            kafka.committed[partition] = (from, mark.metadata)
        }
        note("\(partition) goes to \(member)")
        members[member].owned[partition] = Member.Owned(fetchFrom: from, stored: from)
        hand(member, .assigned(partition, ledger))
        if members[member].isClosing { giveBack([partition], member) }
        return ledger
    }

    // MARK: What a process does

    func fetch(_ index: Int, _ count: Int) {
        tellOfResets(index)
        deliver()
        let member = members[index]
        guard !member.isCut, member.wantsRecords() else { return }
        for partition in member.owned.keys.sorted() {
            var records: [Record] = []
            while records.count < count, let owned = member.owned[partition], !owned.isPaused,
                owned.revokedUntil == nil, let record = kafka.request(partition, owned.fetchFrom),
                member.wantsRecords(beside: records.count)
            {
                member.owned[partition]?.fetchFrom += 1
                records.append(record)
            }
            if !records.isEmpty { hand(index, .received(records)) }
            deliver()
            if let owned = member.owned[partition], !owned.isPaused, owned.toldEnd != owned.fetchFrom,
                kafka.request(partition, owned.fetchFrom) == nil
            {
                member.owned[partition]?.toldEnd = owned.fetchFrom
                hand(index, .reachedEnd(Position(partition: partition, offset: owned.fetchFrom)))
            }
        }
    }

    /// The broker accepts results, in order within each partition.
    func append(_ member: Int, _ count: Int) {
        var left = members[member].isCut ? 0 : count
        for index in members[member].pending.indices where left > 0 && !members[member].pending[index].isAppended {
            left -= 1
            appendOne(member, index)
        }
    }

    private func appendOne(_ member: Int, _ index: Int) {
        members[member].pending[index].isAppended = true
        let pending = members[member].pending[index]
        // Once a request has its result, it is over for every earlier owner.
        for other in members.indices where other != member && !pending.isFromZombie {
            members[other].answered[pending.result.position] = nil
        }
        if let rule = kafka.append(pending.result, isFromZombie: pending.isFromZombie) {
            broken(rule)
        }
    }

    func acknowledge(_ member: Int, _ count: Int) {
        for _ in 0..<(members[member].isCut ? 0 : count) {
            guard let index = members[member].pending.firstIndex(where: \.isAppended) else { return }
            let request = members[member].pending.remove(at: index).request
            hand(member, .published(request))
        }
    }

    func refuse(_ member: Int) {
        guard let index = members[member].pending.firstIndex(where: { !$0.isAppended }) else { return }
        let request = members[member].pending.remove(at: index).request
        hand(member, .publishFailed(request, reason: "no"))
    }

    func commit(_ member: Int) {
        for (partition, owned) in members[member].owned
        where kafka.group.owner[partition] == member && !owned.isOutdated && !members[member].isCut
            && (partition > 0 || settings.quota == nil)
        {
            if let rule = kafka.commit(partition, owned.stored, "") { broken(rule) }
        }
    }

    func crash(_ member: Int) {
        members[member].isAlive = false
        schedule(.expelled(member: member), after: Self.session)
    }

    func freeze(_ member: Int) {
        members[member].isFrozen = true
        schedule(.expelled(member: member), after: Self.session)
    }

    func thaw(_ step: Step) {
        let frozen = members.indices.filter { members[$0].isFrozen }
        if !frozen.isEmpty { thaw(frozen[Int(step.a) % frozen.count]) }
    }

    func thaw(_ member: Int) {
        members[member].isFrozen = false
        guard members[member].isAlive else { return }
        if members[member].isExpelled { schedule(.told(member: member), after: milliseconds(0...3000)) }
    }

    /// Passes an event to a pipeline and performs its effects.
    func play(_ member: Int, _ event: Event) {
        switch event {
        case .drain: members[member].isDraining = true
        case .answered(let call, let reply): count(member, call, reply)
        case .revoked(_, isLost: true, _): members[member].isUnsure = true
        default: break
        }
        if case .answered(let call, let reply) = event {
            note("\(member) has \(reply.httpStatus.map(String.init) ?? "no answer") for \(call)")
        }
        for effect in members[member].handle(event, at: time) {
            switch effect {
            case .call(let call):
                note("\(member) calls \(call.id) \(call.hostIDs)")
                if settings.quota != nil, let caller = kafka.group.owner[0], caller != member {
                    return broken("\(member) calls while \(caller) has the lease")
                }
                members[member].inFlight[call.id] = call.hostIDs
                send(member, .start(call))
            case .query(let query): send(member, .status(query))
            case .publish(let request, let result):
                if members[member].ended.insert(request).inserted {
                    compareAttempts(member, result)
                    if abs((result.completedAt - Self.wall(time)).milliseconds) > 1000 {
                        broken("\(result.position) is answered at \(result.completedAt) with a wrong clock")
                    }
                }
                note("\(member) answers \(result.position): \(result.status), \(result.attempts) attempts")
                members[member].pending.append(
                    .init(request: request, result: result, isFromZombie: members[member].isExpelled))
            case .store(let partition, let offset):
                guard members[member].owned[partition] != nil else {
                    return broken("an offset of partition \(partition) is stored after it was given up")
                }
                members[member].owned[partition]?.stored = offset
            case .pause(let partitions):
                for partition in partitions { members[member].owned[partition]?.isPaused = true }
            case .resume(let partitions):
                for partition in partitions {
                    guard members[member].owned[partition]?.isPaused ?? false else {
                        return broken("partition \(partition) is resumed but was not paused")
                    }
                    members[member].owned[partition]?.isPaused = false
                }
            case .takeAnew(let partition, let offset): takeAnew(member, partition, from: offset)
            case .release(let partition, let isLost, let handover): release(member, partition, isLost, handover)
            case .drained:
                members[member].isClosing = true
                kafka.group.retire(member)
                giveBack(members[member].owned.keys.sorted(), member)
            case .log: break
            }
        }
        if members[member].isDraining, members[member].owned.isEmpty, members[member].pipeline.openCount == 0,
            members[member].inFlight.isEmpty, members[member].isAlive
        {
            members[member].isAlive = false
            leave(member)
        }
    }

    func giveBack(_ partitions: [Int32], _ member: Int) {
        for partition in partitions { members[member].owned[partition]?.revokedUntil = time + .seconds(25) }
        hand(
            member,
            .revoked(partitions, isLost: false, deadline: members[member].uptime(time) + .seconds(25)))
    }

    private func send(_ member: Int, _ sent: Sent) {
        let isSlow = Int.random(in: 0..<10, using: &generator) == 0
        schedule(.arrives(member: member, sent), after: milliseconds(0...(isSlow ? 4900 : 40)))
    }

    private func release(_ member: Int, _ partition: Int32, _ isLost: Bool, _ handover: Handover?) {
        guard let owned = members[member].owned.removeValue(forKey: partition) else { return }
        note("\(member) gives \(partition) up: \(isLost ? "lost" : handover?.text ?? "in order")")
        if let until = owned.revokedUntil, time < until, !members[member].isUnsure {
            for hosts in members[member].inFlight.values
            where hosts.contains(where: { partitionOfHost[$0] == partition }) {
                return broken("partition \(partition) is given up while a call for it is in flight")
            }
        } else {
            members[member].isUnsure = true
        }
        guard kafka.group.owner[partition] == member else { return }
        if !owned.isOutdated,
            let rule = kafka.commit(
                partition, owned.stored, handover?.text ?? members[member].metadata(partition))
        {
            broken(rule)
        }
        kafka.group.owner[partition] = nil
        rebalance()
    }

    // MARK: Attempts

    private func count(_ member: Int, _ call: CallID, _ reply: Reply) {
        guard members[member].inFlight.removeValue(forKey: call) != nil else { return }
        if let failure = Failure(reply), failure.disposition == .wait || failure.disposition == .stop { return }
        for position in members[member].pipeline.positions(of: call) {
            members[member].answered[position, default: 0] += 1
        }
    }

    private func compareAttempts(_ member: Int, _ result: StartResult) {
        let calls = members[member].answered.removeValue(forKey: result.position) ?? 0
        if calls != result.attempts && !members[member].isUnsure {
            broken("\(result.position): \(calls) calls were answered, but its result has \(result.attempts) attempts")
        }
    }
}
