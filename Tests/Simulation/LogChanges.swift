import Core

/// Changes that an operator or an election makes to the log of one partition of the requests topic.
extension SimulatedKafka {
    /// The topic is deleted and recreated. The broker forgets the offset that was committed for it.
    mutating func recreate(_ partition: Int32) {
        cut(partition, to: 0)
        first[Int(partition)] = 0
        committed[partition] = nil
    }

    /// An unclean election loses the last records. `isRead`: a consumer reads the partition and notices at once.
    /// Without such a consumer, the log could grow beyond the committed offset before anyone looks, and no worker would
    /// know that it was ever shorter.
    mutating func truncate(_ partition: Int32, by count: Int, keeping: Int64, isRead: Bool) {
        let floor = max(first[Int(partition)], keeping, isRead ? 0 : committed[partition]?.offset ?? 0)
        let end = Int(end(partition))
        cut(partition, to: min(end, max(Int(floor), end - count)))
    }

    /// Records are deleted by retention, or by `kafka-delete-records`.
    mutating func deleteRecords(_ partition: Int32, below offset: Int64) {
        let low = first[Int(partition)]
        first[Int(partition)] = min(max(low, offset), end(partition))
        loseSight(of: low..<first[Int(partition)], partition)
    }

    func end(_ partition: Int32) -> Int64 { Int64(requests[Int(partition)].count) }

    /// Where a takeover begins to read, like `Takeover.start`.
    func start(_ partition: Int32) -> Int64 {
        let low = first[Int(partition)]
        guard let committed = committed[partition]?.offset, committed <= end(partition) else { return low }
        return max(committed, low)
    }

    /// A worker may have read these records already.
    private mutating func loseSight(of offsets: Range<Int64>, _ partition: Int32) {
        for offset in offsets where answered[Int(partition)][offset] == nil {
            gone.append(requests[Int(partition)][Int(offset)])
        }
    }

    private mutating func cut(_ partition: Int32, to count: Int) {
        loseSight(of: max(first[Int(partition)], Int64(count))..<max(end(partition), Int64(count)), partition)
        requests[Int(partition)].removeSubrange(count...)
        answered[Int(partition)] = answered[Int(partition)].filter { $0.key < count }
    }
}

extension World {
    func changeLog(_ step: Step) {
        let partition = Int32(Int(step.a) % settings.partitions)
        var changed = [partition]
        switch step.kind {
        case .recreate:
            if settings.quota != nil {
                // What a caller recorded about the quota is deleted with the topic. If there is no result either,
                // nobody can know that anything was called.
                guard kafka.hasResults else { return }
                changed = (0..<Int32(kafka.requests.count)).map { $0 }
            }
            met[settings.quota == nil ? "recreated" : "recreated with a quota", default: 0] += 1
            for partition in changed { kafka.recreate(partition) }
        case .truncate:
            met["truncated", default: 0] += 1
            // The owner in the group's view must read it. A member that was expelled and does not know it yet reports
            // nothing to the group.
            let isRead =
                kafka.group.owner[partition].map {
                    !members[$0].isSilent && !members[$0].isDraining && !members[$0].isExpelled
                        && members[$0].owned[partition].map { $0.revokedUntil == nil } ?? false
                } ?? false
            // With a quota, keep every record that a call may be in flight for. A call for a record that nobody can see
            // is not counted.
            let kept = settings.quota.flatMap { _ in
                kafka.unanswered.last { $0.position.partition == partition }?.position.offset
            }
            kafka.truncate(partition, by: 1 + Int(step.b % 4), keeping: (kept ?? -1) + 1, isRead: isRead)
        default:
            met["deleted", default: 0] += 1
            kafka.deleteRecords(partition, below: kafka.end(partition) - Int64(step.b % 3))
        }
        // The positions belong to other records now.
        for index in members.indices { members[index].isUnsure = true }
        for partition in changed { logChanged(partition) }
    }

    private func logChanged(_ partition: Int32) {
        if let mark = kafka.committed[partition], mark.offset > kafka.end(partition) {
            met["committed beyond the end", default: 0] += 1
        }
        note("the log of \(partition) is now \(kafka.first[Int(partition)])..<\(kafka.end(partition))")
        for index in members.indices {
            guard let owned = members[index].owned[partition] else { continue }
            let isBeyond = owned.fetchFrom > kafka.end(partition)
            if isBeyond || owned.fetchFrom < kafka.first[Int(partition)] {
                // The broker refuses the fetch, and the consumer restarts at the log's start (`auto.offset.reset`).
                members[index].owned[partition]?.fetchFrom = kafka.first[Int(partition)]
            }
            // A consumer always has a fetch in flight, so it knows before anything else happens.
            if isBeyond { members[index].owned[partition]?.isOutdated = true }
        }
    }

    /// Reports to a member's pipeline the first thing that its consumer meets after the log went back.
    func tellOfResets(_ member: Int) {
        guard members[member].isAlive, !members[member].isFrozen, !members[member].isDraining else { return }
        for (partition, owned) in members[member].owned where owned.isOutdated && owned.revokedUntil == nil {
            members[member].owned[partition]?.isOutdated = false
            if let record = kafka.request(partition, owned.fetchFrom) {
                members[member].owned[partition]?.fetchFrom += 1
                hand(member, .received([record]))
            } else {
                hand(member, .reachedEnd(Position(partition: partition, offset: owned.fetchFrom)))
            }
        }
    }

    /// The worker stores and commits the offset where the new log begins, and has its partitions assigned anew.
    func takeAnew(_ member: Int, _ partition: Int32, from offset: Int64) {
        guard let owned = members[member].owned[partition] else { return }
        met["read again", default: 0] += 1
        members[member].owned[partition]?.stored = offset
        inherit(member, .unknown(idleSince: nil))
        if kafka.group.owner[partition] == member {
            kafka.committed[partition] = (offset, members[member].metadata(partition))
        }
        if owned.revokedUntil == nil { giveBack([partition], member) }
    }
}
