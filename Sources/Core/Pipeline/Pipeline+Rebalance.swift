/// Partitions go, or the worker does: drain first, fence second.
extension Pipeline {
    mutating func revoked(_ numbers: [Int32], isLost: Bool, deadline: Duration) {
        for number in numbers where partitions[number] != nil {
            if configuration.mutations.has(.storesAfterARevoke), isLost {
                effects.append(.release(number, isLost: true, handover: nil))
                continue
            }
            if configuration.mutations.has(.fencesBeforeDraining), !isLost {
                effects.append(.release(number, isLost: false, handover: nil))
                partitions[number] = nil
                continue
            }
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
        lifecycle = .draining
        for number in partitions.keys { abandonWaiting(of: number) }
    }

    /// Lets go of what no call or result is under way for; the next owner has it again from its topic.
    private mutating func abandonWaiting(of number: Int32) { abandon(of: number) { $0.inFlight == 0 } }

    /// Lets go of what has no result yet, with calls in flight or without.
    private mutating func abandonUnanswered(of number: Int32) { abandon(of: number) { _ in true } }

    private mutating func abandon(of number: Int32, where isMeant: (OpenRequest) -> Bool) {
        var count = 0
        for id in open.ids(of: number) {
            guard let entry = open[id], isMeant(entry) else { continue }
            if case .publishing = entry.stage { continue }
            abandon(id)
            count += 1
        }
        if count > 0 { effects.append(.log(.leftBehind(partition: number, count: count))) }
    }

    /// Drops a request without a result: its offset stays open here for good.
    mutating func abandon(_ id: RequestID) {
        guard open.abandon(id) != nil else { return }
        coalescer.remove(id)
        outbox.remove(id)
    }

    /// Everything of a partition, at once. Answers and acknowledgements that come later find nothing: whether the next owner
    /// has answered already cannot be known here, and it will answer.
    private mutating func giveUp(_ number: Int32, isLost: Bool, handover: Handover? = nil) {
        for id in open.ids(of: number) { abandon(id) }
        partitions[number] = nil
        revoked.remove(number)
        if number == 0 { permits.endLease(handover) }
        effects.append(.release(number, isLost: isLost, handover: handover))
        order.forget(number)
    }

    /// Answers the revokes whose partitions are done or out of time, and says when a drain is over.
    mutating func releaseWhatIsDone(_ now: Now) {
        // Partition 0 goes last, because the lease goes with it.
        for number in revoked.sorted(by: >) {
            guard let deadline = partitions[number]?.revokedBy else { continue }
            if now.uptime >= deadline { abandonUnanswered(of: number) }
            guard open.ids(of: number).isEmpty else {
                // Results that are on their way are waited for as long as the group lets us: one that arrives after the next
                // owner has read the results would be a second one.
                if now.uptime >= deadline { partitions[number]?.revokedBy = now.uptime + .seconds(1) }
                continue
            }
            let isLast = !configuration.needsLease || number > 0 || (partitions.count == 1 && calls.isEmpty)
            guard isLast || now.uptime >= deadline else { continue }
            giveUp(number, isLost: false, handover: number == 0 ? permits.handover(now) : nil)
        }
        if lifecycle == .draining && open.isEmpty && calls.isEmpty {
            lifecycle = .drained
            effects.append(.drained)
        }
    }
}
