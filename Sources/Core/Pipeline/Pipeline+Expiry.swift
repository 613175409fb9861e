/// Ends requests whose time is over, or that no call can serve in time.
extension Pipeline {
    /// Expires requests that no call can serve in time.
    mutating func expireWhatIsTooLate(_ now: Now) {
        // Only the quota is considered, because a gate may open sooner than predicted and an outage may end.
        let next = permits.calls.earliestPossible(now)
        while let id = expiries.takeDue(next) {
            // The clock may have been set back since the check was scheduled.
            if let expiresAt = open[id]?.request?.expiresAt, expiresAt > now.wall + (next - now.uptime) {
                scheduleExpiry(id, now)
            } else {
                expire(id, now)
            }
        }
    }

    /// Expires a request whose `expires_at` has come. It may come earlier than scheduled, because the clock may have
    /// been set forward since the request was queued. True where the request is over.
    mutating func expireIfOver(_ id: RequestID, _ now: Now) -> Bool {
        guard let expiresAt = open[id]?.request?.expiresAt, expiresAt <= now.wall else { return false }
        expire(id, now)
        return true
    }

    /// Expires a request because `expires_at` has come, or because no call can be made before it.
    mutating func expire(_ id: RequestID, _ now: Now) {
        guard let entry = open[id], entry.stage == .calling || entry.stage == .waitingForOrder, entry.inFlight == 0,
            let expiresAt = entry.request?.expiresAt
        else { return }
        coalescer.remove(id)
        if entry.attempts == 0 && entry.succeeded == 0 && entry.failedHosts.isEmpty {
            end(id, .expired, failure: .expired(expiresAt), now)
            return
        }
        // Calls were made, so their outcome is the result. The remaining hosts count as failed.
        open.update(id) { $0.unsettled = 0 }
        let failure = entry.failure ?? .expired(expiresAt)
        let settled = Set((entry.failedHosts.map(\.hostID) + entry.started).map(ExactText.init))
        if entry.succeeded == 0 {
            end(id, .failed, failure: failure, now)
        } else {
            let left = (entry.request?.hostIDs ?? []).filter { !settled.contains(ExactText($0)) }
            open.update(id) { entry in
                entry.failedHosts += left.map { .init(hostID: $0, failure: .expired(expiresAt)) }
            }
            end(id, .partiallySucceeded, failure: failure, now)
        }
    }
}
