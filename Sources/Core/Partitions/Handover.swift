/// What a worker that becomes the caller knows about the calls of the previous caller.
package enum PreviousOwner: Equatable, Sendable {
    /// There was no previous caller, because nothing was ever committed.
    case none
    case handedOver(Handover)
    /// The previous caller left no handover. If all requests are committed, `idleSince` is the time of the last result,
    /// or of the last call by earlier callers if that is later.
    case unknown(idleSince: Timestamp?)
}

extension PreviousOwner {
    /// What a worker finds of one partition when it takes over.
    package struct Trace {
        package var committed: Int64?
        /// The offsets of the requests in the topic.
        package var requests: Range<Int64>
        package var hasResults: Bool
        package var ledger: Ledger?

        package init(committed: Int64?, requests: Range<Int64>, hasResults: Bool, ledger: Ledger?) {
            (self.committed, self.requests) = (committed, requests)
            (self.hasResults, self.ledger) = (hasResults, ledger)
        }
    }

    /// `metadata` is the metadata of partition 0's committed offset; nil where no offset is committed.
    package init(metadata: String?, _ partitions: [Trace]) {
        guard let metadata else {
            // Deleting a topic deletes its committed offsets and their metadata, but not the results.
            let wasThere = partitions.contains { $0.hasResults || $0.committed != nil }
            self = wasThere ? .unknown(idleSince: nil) : .none
            return
        }
        if let handover = Handover(metadata) {
            self = .handedOver(handover)
            return
        }
        var last = Self.lastInherited(metadata)
        for partition in partitions {
            // A call may be under way for any request that is not committed, even if the
            // request has been deleted since.
            guard partition.committed ?? 0 == partition.requests.upperBound, let ledger = partition.ledger else {
                self = .unknown(idleSince: nil)
                return
            }
            last = max(last, ledger.lastResultAt)
        }
        self = .unknown(idleSince: last)
    }
}

extension PreviousOwner {
    /// The metadata that a caller writes with each of its commits, in case it stops without a handover. It gives the
    /// latest time at which an earlier caller can have sent a call. The offsets that this caller commits may hide the
    /// evidence: requests that were deleted before they had a result. The form is `3;MILLISECONDS`; the text is empty
    /// where there was no earlier caller.
    package func inherited(_ now: Timestamp, _ configuration: Pipeline.Configuration) -> String {
        if configuration.mutations.has(.forgetsEarlierCallers) { return "" }
        let last: Timestamp?
        switch self {
        case .none: last = nil
        case .handedOver(let handover):
            last = handover.start.last.map { $0 + (.zero - (configuration.quota?.window ?? .zero)) }
        case .unknown(let idleSince): last = idleSince ?? now + configuration.transit
        }
        return last.map { "3;\($0.milliseconds)" } ?? ""
    }

    /// Whether a committed offset's metadata has a form of this version.
    package static func canRead(_ metadata: String) -> Bool {
        metadata.isEmpty || metadata.hasPrefix("3;") || Handover(metadata) != nil
    }

    private static func lastInherited(_ metadata: String) -> Timestamp {
        guard metadata.hasPrefix("3;"), let milliseconds = Int64(metadata.dropFirst(2)),
            (0..<1 << 53).contains(milliseconds)
        else { return Timestamp(milliseconds: 0) }
        return Timestamp(milliseconds: milliseconds)
    }
}

/// What a caller hands over to the next one when it stops cleanly: until when each slot of the quota is in use, and
/// when the credential was refused recently. It is written as the metadata of partition 0's committed offset.
///
/// The form is `2;BASE;START;STATUS;REFUSALS`. BASE is in milliseconds since 1970. Each list holds milliseconds after
/// BASE as `N` or `NxCOUNT`, separated by commas. The leading number is the version of the form.
package struct Handover: Equatable, Sendable {
    /// Until when slots of StartPlugin's quota are in use, in order.
    package var start: [Timestamp]
    /// The same for ListPluginStatus.
    package var status: [Timestamp]
    /// When the credential was refused recently, in order.
    package var refusals: [Timestamp]

    /// Brokers take 4,096 bytes of metadata by default.
    private static let maximumBytes = 4096
    /// A longer list is shortened by rounding times up to a later time in the list.
    private static let maximumTimes = 100

    package init(start: [Timestamp], status: [Timestamp], refusals: [Timestamp] = []) {
        self.start = start.sorted()
        self.status = status.sorted()
        self.refusals = refusals.sorted()
    }

    package var text: String {
        let base = (start + status + refusals).min() ?? Timestamp(milliseconds: 1)
        let lists = [start, status, refusals].map { Self.list($0, after: base) }
        return "2;\(base.milliseconds);\(lists.joined(separator: ";"))"
    }

    private static func list(_ times: [Timestamp], after base: Timestamp) -> String {
        var runs: [(delta: Int64, count: Int)] = []
        let size = (times.count + maximumTimes - 1) / maximumTimes
        for index in times.indices {
            // The latest time of a group represents the whole group, so that no slot appears free too early.
            let time = times[min(times.count - 1, (index / size + 1) * size - 1)]
            let delta = (time - base).milliseconds
            if runs.last?.delta == delta { runs[runs.count - 1].count += 1 } else { runs.append((delta, 1)) }
        }
        return runs.map { $0.count == 1 ? "\($0.delta)" : "\($0.delta)x\($0.count)" }.joined(separator: ",")
    }

    /// Nil for a text in another form.
    package init?(_ text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.maximumBytes, parts.count == 5, parts[0] == "2", let base = Int64(parts[1]),
            base > 0, base < 1 << 53, let start = Self.times(parts[2], after: base),
            let status = Self.times(parts[3], after: base), let refusals = Self.times(parts[4], after: base)
        else { return nil }
        self.init(start: start, status: status, refusals: refusals)
    }

    private static func times(_ list: Substring, after base: Int64) -> [Timestamp]? {
        var times: [Timestamp] = []
        for entry in list.split(separator: ",", omittingEmptySubsequences: true) {
            let parts = entry.split(separator: "x", omittingEmptySubsequences: false)
            guard parts.count <= 2, let delta = Int64(parts[0]), (0..<(1 << 52)).contains(delta),
                let count = parts.count == 1 ? 1 : Int(parts[1]), (1...Quota.mostCalls).contains(count),
                times.count + count <= Quota.mostCalls
            else { return nil }
            times += Array(repeating: Timestamp(milliseconds: base + delta), count: count)
        }
        return times
    }
}
