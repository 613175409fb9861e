internal import Kafka

/// How far each partition is behind: the records from its first unfinished request to its end.
struct Lag {
    /// The offsets where each partition's reading began and where the partition ended, at takeover.
    private var taken: [Int32: Range<Int64>] = [:]

    mutating func took(_ takeovers: [Int32: Takeover]) {
        for (partition, takeover) in takeovers {
            taken[partition] = takeover.start..<max(takeover.start, takeover.requests.upperBound)
        }
    }

    /// `committable` is nil until a request has finished here. `end` is as of the last fetch, and nil before the first
    /// one. Returns nil where the lag is unknown.
    func records(_ partition: Int32, committable: Int64?, end: Int64?) -> Int64? {
        let taken = taken[partition]
        guard let next = committable ?? taken?.lowerBound, let end = end ?? taken?.upperBound else { return nil }
        return max(0, end - next)
    }
}
