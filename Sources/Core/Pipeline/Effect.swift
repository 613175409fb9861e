/// What the shell tells the core: a fact, with the time it was learned.
package enum Event {
    /// A partition is ours, and its results have been read.
    case assigned(Int32, Ledger)
    /// This worker is the caller of its group now: the broker has acknowledged a commit that says so.
    case tookOver(PreviousOwner)
    /// The group cannot make another worker the caller before this time, by uptime: calls may be sent until then.
    case leased(until: Duration)
    case received(Record)
    /// The partition was read to its end, which is where the next record would be.
    case reachedEnd(Position)
    case answered(CallID, Reply)
    /// The results topic has acknowledged a request's result.
    case published(RequestID)
    /// The results topic has not taken it; `isTooLarge`: and never will as it is.
    case publishFailed(RequestID, reason: String, isTooLarge: Bool = false)
    /// Partitions are to be given up by the deadline (uptime), or are lost already.
    case revoked([Int32], isLost: Bool, deadline: Duration)
    case credentialChanged
    /// Stop: finish what is in flight, start nothing.
    case drain
    case tick
}

/// When something happened: on the clock that never jumps, and on the one that people read.
package struct Now: Equatable, Sendable {
    package var uptime: Duration
    package var wall: Timestamp

    package init(uptime: Duration, wall: Timestamp) {
        self.uptime = uptime
        self.wall = wall
    }
}

/// What the core wants done; small cases, carried out in order.
package enum Effect: Equatable {
    case call(StartCall)
    case query(StatusQuery)
    case publish(RequestID, StartResult)
    /// The next offset to commit for a partition.
    case store(partition: Int32, offset: Int64)
    case pause([Int32])
    case resume([Int32])
    /// The partition's log went back: everything from this offset on has to be read again, after all results.
    case takeAnew(partition: Int32, from: Int64)
    /// The partition may be given up: nothing of it is open, or its time is up, or it is lost already. `handover`: what the
    /// next caller has to know.
    case release(Int32, isLost: Bool, handover: Handover?)
    /// Nothing is open and nothing will be started.
    case drained
    case log(LogEvent)
}

/// Something an operator wants to know of; the shell words and counts it.
package enum LogEvent: Equatable {
    /// A request's result was acknowledged.
    case ended(StartResult, took: Duration)
    case called(StartCall, requests: Int)
    /// `nextIn`: until the next call may go, whichever it is; nil where none waits, or where that waits for an answer.
    case callFailed(CallID, Failure, nextIn: Duration?, requests: Int)
    case callSucceeded(CallID, latency: Duration, requests: Int, hosts: Int)
    /// The vendor's code is not in the table.
    case unknownCode(String, detail: String?)
    /// `until`: when the next call may go, as uptime; nil where that waits for an answer or for partitions.
    case throttled(RateLimit?, until: Duration?)
    /// The server named another limit than the one kept to so far; this one is kept to from now on.
    case limitLearned(RateLimit)
    /// This worker calls from now on; not before `until`, where that is set, because the previous caller's calls count.
    case tookOver(PreviousOwner, until: Duration?)
    case gateClosed(Failure, serverDate: Timestamp?, until: Duration)
    case gateOpened
    /// HSS refuses the credential for this project, and accepts it for others; tried again at that time.
    case projectRefused(String, until: Duration)
    case projectAccepted(String)
    case publishFailed(Position, reason: String)
    case full(openCount: Int, bytes: Int)
    case room
    /// Records of these positions were given up unanswered; the next owner has them.
    case leftBehind(partition: Int32, count: Int)
    /// A record was passed over because its result is there already.
    case skipped(Position)
    /// There is a result for this offset, but it is not this record's.
    case anothersResult(Position)
    /// A record came from an offset that was read before: the topic was created again or truncated. `open`: requests of the
    /// partition that have no acknowledged result yet.
    case wentBack(Position, highest: Int64, open: Int)
}
