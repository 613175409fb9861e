/// What the shell reports to the core. Each event is handled with the time at which it was learned.
package enum Event {
    /// This worker now owns the partition, and has read the partition's results.
    case assigned(Int32, Ledger)
    /// This worker is now the caller of its group. The broker has acknowledged a commit that records this.
    case tookOver(PreviousOwner)
    /// Calls may be sent until this time, because the group cannot make another worker the caller before it.
    case leased(until: Uptime)
    /// Records that were fetched together, so they can share a call.
    case received([Record])
    /// The partition was read to its end. The position is that of the next record.
    case reachedEnd(Position)
    case answered(CallID, Reply)
    /// The results topic has acknowledged a request's result.
    case published(RequestID)
    /// The results topic refused the result. `isTooLarge` means that it will always refuse the result in this form.
    case publishFailed(RequestID, reason: String, isTooLarge: Bool = false)
    /// Partitions must be given up by the deadline, or are already lost.
    case revoked([Int32], isLost: Bool, deadline: Uptime)
    case credentialChanged
    /// A new policy is in force, for the requests that are admitted from now on. Its maintenance also applies to those
    /// that wait.
    case policyChanged(Policy)
    /// Stop: finish what is in flight and start nothing.
    case drain
    case tick
}

/// When something happened, on the monotonic clock and on the wall clock.
package struct Now: Equatable, Sendable {
    package var uptime: Uptime
    package var wall: Timestamp

    package init(uptime: Uptime, wall: Timestamp) {
        self.uptime = uptime
        self.wall = wall
    }
}

/// What the core asks the shell to do. The cases are small and are carried out in order.
package enum Effect: Equatable {
    case call(StartCall)
    case query(StatusQuery)
    /// Write the dead letter first, if there is one, and the result once it is acknowledged.
    indirect case publish(RequestID, StartResult, DeadLetter?)
    /// The next offset to commit for a partition.
    case store(partition: Int32, offset: Int64)
    case pause([Int32])
    case resume([Int32])
    /// The partition's log went back. Everything from this offset on must be read again, after all results.
    case takeAnew(partition: Int32, from: Int64)
    /// The partition may be given up, because nothing of it is open, its time is up, or it is already lost. `handover`
    /// is what the next caller has to know.
    case release(Int32, isLost: Bool, handover: Handover?)
    /// Nothing is open and nothing will be started.
    case drained
    indirect case log(LogEvent)
}

/// Something that an operator wants to know. The shell writes the message and counts the event.
package enum LogEvent: Equatable {
    /// A request's result was acknowledged.
    case ended(StartResult, took: Duration)
    case called(StartCall, requests: Int)
    /// `nextIn` is the time until the next call of any scope may go; nil where no call waits, or where the
    /// next call waits for an answer.
    case callFailed(CallID, Failure, nextIn: Duration?, requests: Int)
    case callSucceeded(CallID, latency: Duration, requests: Int, hosts: Int)
    /// The vendor's code is not in the table.
    case unknownCode(String, detail: String?)
    /// `until` is when the next call may go; nil where the next call waits for an answer or for partitions.
    case throttled(RateLimit?, until: Uptime?)
    /// The server named a limit that differs from the current one. The named limit applies from now on.
    case limitLearned(RateLimit)
    /// This worker makes the calls from now on. If `until` is set, it waits until then, because the
    /// previous caller's calls count.
    case tookOver(PreviousOwner, until: Uptime?)
    /// A call was refused, and both its halves were accepted. Calls of the scope have no more hosts than this for now.
    case ceilingLowered(project: String, plugin: String, hosts: Int)
    case gateClosed(Failure, serverDate: Timestamp?, until: Uptime)
    case gateOpened
    /// HSS refuses the credential for this project and accepts it for others. The project is tried again at that time.
    case projectRefused(String, until: Uptime)
    case projectAccepted(String)
    case publishFailed(Position, reason: String)
    case full(openCount: Int, bytes: Int)
    case room
    /// Requests of this partition were abandoned without a result. The next owner processes their records.
    case leftBehind(partition: Int32, count: Int)
    /// A record was skipped because it already has its result.
    case skipped(Position)
    /// There is a result for this offset, but it belongs to another record.
    case anothersResult(Position)
    /// A record came from an offset that was read before, because the topic was recreated or truncated. `open` is the
    /// number of the partition's requests that have no acknowledged result yet.
    case wentBack(Position, highest: Int64, open: Int)
}
