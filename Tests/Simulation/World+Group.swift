import Core

/// The consumer group, its lease and its members.
extension World {
    func start() {
        var configuration = Pipeline.Configuration(quota: settings.quota)
        configuration.needsLease = settings.quota != nil
        configuration.requestsTopic = kafka.writer.requestsTopic
        configuration.hostsPerCall = settings.hostsPerCall
        configuration.pacing = settings.pacing
        configuration.maximumOpen = settings.maximumOpen
        configuration.concurrency = 3
        configuration.deadLetters = Self.deadLetters
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
    func land(of member: Int, _ partition: Int32) {
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
    func lease(_ member: Int) -> Duration {
        isHealed && !members[member].isExpelled ? .seconds(600) : Self.session * 9 / 10
    }

    /// Sends a commit of partition 0 to the coordinator, which answers if it still knows the member.
    func sendCommit(_ member: Int) {
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

    func acknowledged(_ member: Int, _ term: Int, sentAt: Uptime) {
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

    func assign(_ partition: Int32, to member: Int) -> Ledger {
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
}
