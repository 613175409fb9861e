internal import Kafka

/// How far each partition is behind: from the first request that is not finished to the end.
struct Lag {
    /// Where each partition was read from and where it ended, when it was taken over.
    private var taken: [Int32: Range<Int64>] = [:]

    mutating func took(_ takeovers: [Int32: Takeover]) {
        for (partition, takeover) in takeovers {
            taken[partition] = takeover.start..<max(takeover.start, takeover.requests.upperBound)
        }
    }

    /// `committable`: nil while nothing was finished here; `end`: as of the last fetch, nil before the first. Nil where it
    /// is not known.
    func records(_ partition: Int32, committable: Int64?, end: Int64?) -> Int64? {
        let taken = taken[partition]
        guard let next = committable ?? taken?.lowerBound, let end = end ?? taken?.upperBound else { return nil }
        return max(0, end - next)
    }
}
