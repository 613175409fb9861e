import Core

/// What a member's process does with its records, results and commits.
extension World {
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

    func appendOne(_ member: Int, _ index: Int) {
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
        let effects = members[member].handle(event, at: time)
        if members[member].mayCallEarlier { broken("\(member) could call before its deadline") }
        for effect in effects {
            switch effect {
            case .call(let call):
                note("\(member) calls \(call.id) \(call.hostIDs)")
                if settings.quota != nil, let caller = kafka.group.owner[0], caller != member {
                    return broken("\(member) calls while \(caller) has the lease")
                }
                members[member].inFlight[call.id] = call.hostIDs
                send(member, .start(call))
            case .query(let query): send(member, .status(query))
            case .publish(let request, let result, let letter):
                let isMeant = Self.deadLetters.contains(result.status) && result.failure?.category != .throttled
                if isMeant != (letter != nil) || letter.map({ $0.record.position != result.position }) ?? false {
                    broken("\(result.position) is \(result.status) with\(letter == nil ? "out its" : " a") dead letter")
                }
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

    func send(_ member: Int, _ sent: Sent) {
        let isSlow = Int.random(in: 0..<10, using: &generator) == 0
        schedule(.arrives(member: member, sent), after: milliseconds(0...(isSlow ? 4900 : 40)))
    }

    func release(_ member: Int, _ partition: Int32, _ isLost: Bool, _ handover: Handover?) {
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

    func count(_ member: Int, _ call: CallID, _ reply: Reply) {
        guard members[member].inFlight.removeValue(forKey: call) != nil else { return }
        if let failure = Failure(reply), failure.disposition == .wait || failure.disposition == .stop { return }
        for position in members[member].pipeline.positions(of: call) {
            members[member].answered[position, default: 0] += 1
        }
    }

    func compareAttempts(_ member: Int, _ result: StartResult) {
        let calls = members[member].answered.removeValue(forKey: result.position) ?? 0
        if calls != result.attempts && !members[member].isUnsure {
            broken("\(result.position): \(calls) calls were answered, but its result has \(result.attempts) attempts")
        }
    }
}
