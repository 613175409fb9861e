/// Gives up partitions, or all work of the worker. Draining comes first, fencing second.
extension Pipeline {
    mutating func revoked(_ numbers: [Int32], isLost: Bool, deadline: Uptime) {
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

    /// Abandons requests without a call or result in flight. The next owner reads their records again.
    private mutating func abandonWaiting(of number: Int32) { abandon(of: number) { $0.inFlight == 0 } }

    /// Abandons requests without a result, even if a call is in flight.
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

    /// Drops a request without a result. Its offset stays open here for good.
    mutating func abandon(_ id: RequestID) {
        guard open.abandon(id) != nil else { return }
        coalescer.remove(id)
        outbox.remove(id)
    }

    /// Drops everything of a partition at once. Later answers and acknowledgements have no effect. This worker cannot
    /// know whether the next owner has already answered, and the next owner will answer.
    private mutating func giveUp(_ number: Int32, isLost: Bool, handover: Handover? = nil) {
        for id in open.ids(of: number) { abandon(id) }
        partitions[number] = nil
        revoked.remove(number)
        if number == 0 { permits.endLease(handover) }
        effects.append(.release(number, isLost: isLost, handover: handover))
        order.forget(number)
    }

    /// Releases the revoked partitions that are done or out of time, and reports when a drain is over.
    mutating func releaseWhatIsDone(_ now: Now) {
        // Partition 0 goes last, because the lease goes with it.
        for number in revoked.sorted(by: >) {
            guard let deadline = partitions[number]?.revokedBy else { continue }
            if now.uptime >= deadline { abandonUnanswered(of: number) }
            guard open.ids(of: number).isEmpty else {
                // Results in flight are waited for as long as the group allows. A result that arrives after the next
                // owner has read the results would be a second result.
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
