/// Partitions go, or the worker does: drain first, fence second.
extension Pipeline {
    private static let maximumCarried = 10_000

    mutating func revoked(_ numbers: [Int32], isLost: Bool, deadline: Duration) {
        for number in numbers where partitions[number] != nil {
            #if MUTATIONS
                if configuration.mutation == .storesAfterARevoke, isLost {
                    effects.append(.release(number, isLost: true, handover: nil))
                    continue
                }
                if configuration.mutation == .fencesBeforeDraining, !isLost {
                    effects.append(.release(number, isLost: false, handover: nil))
                    partitions[number] = nil
                    continue
                }
            #endif
            if isLost {
                giveUp(number, isLost: true)
            } else {
                partitions[number]?.revokedBy = deadline
                self.revoked.insert(number)
                abandonWaiting(of: number)
            }
        }
    }

    mutating func drain() {
        isDraining = true
        for number in partitions.keys { abandonWaiting(of: number) }
    }

    /// Lets go of what no call or result is under way for; the next owner has it again from its topic.
    private mutating func abandonWaiting(of number: Int32) { leaveBehind(of: number) { $0.inFlight == 0 } }

    /// Lets go of what has no result yet, with calls in flight or without.
    private mutating func leaveUnansweredBehind(of number: Int32) { leaveBehind(of: number) { _ in true } }

    private mutating func leaveBehind(of number: Int32, where isMeant: (OpenRequest) -> Bool) {
        var count = 0
        for id in partitions[number]?.requests ?? [] {
            guard let entry = open[id], isMeant(entry) else { continue }
            if case .publishing = entry.stage { continue }
            leaveBehind(id)
            count += 1
        }
        if count > 0 { effects.append(.log(.leftBehind(partition: number, count: count))) }
    }

    /// Drops a request without a result: its offset stays open here for good.
    mutating func leaveBehind(_ id: RequestID) {
        guard let entry = open.removeValue(forKey: id) else { return }
        if entry.attempts > 0 || entry.failingSince != nil {
            if carried.count >= Self.maximumCarried { carried = [:] }
            carried[entry.position] = Carried(
                identity: entry.identity, attempts: entry.attempts, failingSince: entry.failingSince,
                failure: entry.failure,
                call: entry.call)
        }
        coalescer.remove(id)
        intake.remove(entry.size)
        partitions[entry.position.partition]?.requests.remove(id)
        if let key = entry.scopedKey, partitions[entry.position.partition]?.holders[key] == id {
            partitions[entry.position.partition]?.holders[key] = nil
        }
    }

    /// Everything of a partition, at once. Answers and acknowledgements that come later find nothing: whether the next owner
    /// has answered already cannot be known here, and it will answer.
    private mutating func giveUp(_ number: Int32, isLost: Bool, handover: Handover? = nil) {
        for id in partitions[number]?.requests ?? [] { leaveBehind(id) }
        partitions[number] = nil
        revoked.remove(number)
        if number == 0 { (leasedUntil, hasTakenOver, leftHandover) = (.zero, false, handover) }
        effects.append(.release(number, isLost: isLost, handover: handover))
        chains = chains.filter { $0.key.partition != number }
    }

    /// Nil where this worker made no call: what the one before it left still stands.
    private func handover(_ now: Now) -> Handover? {
        guard hasTakenOver else { return nil }
        #if MUTATIONS
            if configuration.mutation == .leavesWithoutAHandover { return Handover(start: [], status: []) }
        #endif
        return Handover(
            start: quota.handOver(now), status: statusQuota.handOver(now),
            refusals: gate.recentRefusals(now.uptime).map { now.wall + ($0 - now.uptime) })
    }

    /// Answers the revokes whose partitions are done or out of time, and says when a drain is over.
    mutating func releaseWhatIsDone(_ now: Now) {
        // Partition 0 goes last, because the lease goes with it.
        for number in revoked.sorted(by: >) {
            guard let deadline = partitions[number]?.revokedBy else { continue }
            if now.uptime >= deadline { leaveUnansweredBehind(of: number) }
            guard partitions[number]?.requests.isEmpty ?? true else {
                // Results that are on their way are waited for as long as the group lets us: one that arrives after the next
                // owner has read the results would be a second one.
                if now.uptime >= deadline { partitions[number]?.revokedBy = now.uptime + .seconds(1) }
                continue
            }
            let isLast = !configuration.needsLease || number > 0 || (partitions.count == 1 && calls.isEmpty)
            guard isLast || now.uptime >= deadline else { continue }
            giveUp(number, isLost: false, handover: number == 0 ? handover(now) : nil)
        }
        if isDraining && !saidDrained && open.isEmpty && calls.isEmpty {
            saidDrained = true
            effects.append(.drained)
        }
    }
}
