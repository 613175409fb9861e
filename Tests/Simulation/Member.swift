import Core

/// One worker process: a real pipeline, and what stands around it.
struct Member {
    struct Owned {
        var fetchFrom: Int64
        var stored: Int64
        var isPaused = false
        /// Its log went back, and the consumer has not met it yet.
        var isOutdated = false
        /// Set while it is being given up.
        var revokedUntil: Duration?
    }

    /// A result on its way to its topic.
    struct Pending {
        var request: RequestID
        var record: ResultRecord
        var result: StartResult
        var isAppended = false
        /// Made while the group had gone on without the process.
        var isFromZombie = false
    }

    var pipeline: Pipeline
    let offset: Duration
    let skew: Duration
    var isAlive = true
    var isFrozen = false
    /// The group has gone on without it.
    var isExpelled = false
    var isDraining = false
    /// Drained: it gives back whatever it has and gets.
    var isClosing = false
    var owned: [Int32: Owned] = [:]
    var pending: [Pending] = []
    var inFlight: [CallID: [String]] = [:]
    /// Calls with an answer, by the record that they were made for, until it has a result.
    var answered: [Position: Int] = [:]
    /// Requests whose result went out; it can go out again.
    var ended: Set<RequestID> = []
    /// Requests were dropped with calls in flight: attempts are not compared any more.
    var isUnsure = false
    var wokenAt: Duration?

    func now(_ time: Duration) -> Now { Now(uptime: time - offset, wall: World.wall(time) + skew) }

    /// When it asks to be woken, by the world's clock.
    func wakesAt(_ time: Duration) -> Duration? {
        guard let deadline = pipeline.deadline(now(time)) else { return nil }
        let at = max(time, deadline + offset)
        return at == wokenAt ? at + .milliseconds(1) : at
    }
}

extension World {
    func start() {
        var configuration = Pipeline.Configuration(quota: settings.quota)
        configuration.partitionCount = settings.partitions
        configuration.requestsTopic = kafka.writer.requestsTopic
        configuration.hostsPerCall = settings.hostsPerCall
        configuration.maximumOpen = settings.maximumOpen
        configuration.concurrency = 3
        configuration.retryFor = .seconds(240)
        configuration.callPrefix = "m\(members.count)"
        configuration.seed = generator.next()
        #if MUTATIONS
            configuration.mutation = settings.mutation
        #endif
        members.append(
            Member(
                pipeline: Pipeline(configuration), offset: milliseconds(0...900_000), skew: milliseconds(-400...400)))
        kafka.group.join(members.count - 1)
        rebalance()
    }

    // MARK: The group

    /// Asks for what has to be given up, and gives out what is free.
    func rebalance() {
        for (member, partitions) in kafka.group.toRevoke() {
            for partition in partitions {
                members[member].owned[partition]?.revokedUntil = time + .seconds(25)
            }
            if members[member].isAlive {
                let deadline = members[member].now(time).uptime + .seconds(25)
                hand(member, .revoked(partitions, isLost: false, deadline: deadline))
            }
        }
        var claims: [Int: [Int32: Claim]] = [:]
        for (partition, member) in kafka.group.toAssign() {
            claims[member, default: [:]][partition] = assign(partition, to: member)
        }
        guard settings.quota != nil else { return }
        for (member, claims) in claims.sorted(by: { $0.key < $1.key }) { hand(member, .claimed(claims)) }
    }

    func leave(_ member: Int) {
        kafka.group.leave(member)
        rebalance()
    }

    private func assign(_ partition: Int32, to member: Int) -> Claim {
        let now = members[member].now(time)
        let window = settings.quota?.window ?? .zero
        let (ledger, claim) = kafka.takeOver(partition, callsSince: now.wall + (.zero - window))
        let from = kafka.start(partition)
        if let mark = kafka.committed[partition], mark.offset > from { kafka.committed[partition] = (from, "") }
        note("\(partition) goes to \(member): \(claim)")
        members[member].owned[partition] = Member.Owned(fetchFrom: from, stored: from)
        hand(member, .assigned(partition, ledger))
        if members[member].isClosing { giveBack([partition], member) }
        // The claim wipes what the last owner left.
        if settings.quota != nil { kafka.committed[partition] = (from, "") }
        return claim
    }

    // MARK: What a process does

    func fetch(_ member: Int, _ count: Int) {
        tellOfResets(member)
        deliver()
        let wants = members[member].pipeline.wantsRecords
        for partition in members[member].owned.keys.sorted() {
            for _ in 0..<count {
                guard let owned = members[member].owned[partition], !owned.isPaused, wants, owned.revokedUntil == nil,
                    let record = kafka.request(partition, owned.fetchFrom), members[member].pipeline.wantsRecords
                else { break }
                members[member].owned[partition]?.fetchFrom += 1
                hand(member, .received(record))
                deliver()
            }
            if let owned = members[member].owned[partition], !owned.isPaused,
                kafka.request(partition, owned.fetchFrom) == nil
            {
                hand(member, .reachedEnd(Position(partition: partition, offset: owned.fetchFrom)))
            }
        }
        hand(member, .tick)
    }

    /// The broker takes results, per partition in order.
    func append(_ member: Int, _ count: Int) {
        var left = count
        for index in members[member].pending.indices where left > 0 && !members[member].pending[index].isAppended {
            members[member].pending[index].isAppended = true
            left -= 1
            let pending = members[member].pending[index]
            // With its result a request is over for whoever had it before.
            for other in members.indices where other != member && !pending.isFromZombie {
                members[other].answered[pending.result.position] = nil
            }
            if let rule = kafka.append(pending.record, pending.result, isFromZombie: pending.isFromZombie) {
                broken(rule)
            }
        }
    }

    func acknowledge(_ member: Int, _ count: Int) {
        for _ in 0..<count {
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
        where kafka.group.owner[partition] == member && !owned.isOutdated {
            if let rule = kafka.commit(partition, owned.stored, "") { broken(rule) }
        }
    }

    func crash(_ member: Int) {
        members[member].isAlive = false
        schedule(.expelled(member: member), after: .seconds(10))
    }

    func freeze(_ member: Int) {
        members[member].isFrozen = true
        schedule(.expelled(member: member), after: .seconds(10))
    }

    func thaw(_ step: Step) {
        let frozen = members.indices.filter { members[$0].isFrozen }
        if !frozen.isEmpty { thaw(frozen[Int(step.a) % frozen.count]) }
    }

    func thaw(_ member: Int) {
        members[member].isFrozen = false
        guard members[member].isAlive else { return }
        hand(member, .stalled)
        if members[member].isExpelled { schedule(.told(member: member), after: milliseconds(0...3000)) }
    }

    /// Hands a fact to a pipeline and does what it asks for.
    func play(_ member: Int, _ fact: Fact) {
        switch fact {
        case .drain: members[member].isDraining = true
        case .answered(let call, let reply): count(member, call, reply)
        case .revoked(_, isLost: true, _): members[member].isUnsure = true
        default: break
        }
        let now = members[member].now(time)
        if case .answered(let call, let reply) = fact {
            note("\(member) has \(reply.httpStatus.map(String.init) ?? "no answer") for \(call)")
        }
        for effect in members[member].pipeline.handle(fact, now: now) {
            switch effect {
            case .call(let call):
                note("\(member) calls \(call.id) \(call.hostIDs)")
                members[member].inFlight[call.id] = call.hostIDs
                send(member, .start(call))
            case .query(let query): send(member, .status(query))
            case .publish(let request, let result):
                if members[member].ended.insert(request).inserted { compareAttempts(member, result) }
                let record = kafka.writer.record(result)
                note("\(member) answers \(result.position): \(result.status), \(result.attempts) attempts")
                members[member].pending.append(
                    .init(
                        request: request, record: record, result: result, isFromZombie: members[member].isExpelled))
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
                        return broken("partition \(partition) is resumed, and was not paused")
                    }
                    members[member].owned[partition]?.isPaused = false
                }
            case .takeAnew(let partition, let offset): takeAnew(member, partition, from: offset)
            case .release(let partition, let handover): release(member, partition, handover)
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
            .revoked(partitions, isLost: false, deadline: members[member].now(time).uptime + .seconds(25)))
    }

    private func send(_ member: Int, _ sent: Sent) {
        let isSlow = Int.random(in: 0..<10, using: &generator) == 0
        schedule(.arrives(member: member, sent), after: milliseconds(0...(isSlow ? 4900 : 40)))
    }

    private func release(_ member: Int, _ partition: Int32, _ handover: Handover?) {
        guard let owned = members[member].owned.removeValue(forKey: partition) else { return }
        note("\(member) gives \(partition) up: \(handover?.text ?? "lost")")
        if let until = owned.revokedUntil, time < until, !members[member].isUnsure {
            for hosts in members[member].inFlight.values
            where hosts.contains(where: { partitionOfHost[$0] == partition }) {
                return broken("partition \(partition) is given up while a call for it is in flight")
            }
        } else {
            members[member].isUnsure = true
        }
        guard kafka.group.owner[partition] == member else { return }
        if !owned.isOutdated, let rule = kafka.commit(partition, owned.stored, handover?.text ?? "") { broken(rule) }
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
            broken("\(result.position): \(calls) calls were answered, its result says \(result.attempts)")
        }
    }
}
