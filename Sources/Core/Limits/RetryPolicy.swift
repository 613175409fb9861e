/// How long to wait before the next attempt. The pause grows exponentially with full jitter, so that requests that
/// failed together are not retried together.
package struct RetryPolicy: Equatable, Sendable {
    /// The bound on the first pause. It doubles with each further pause.
    package var base: Duration = .seconds(1)
    /// The bound on any pause.
    package var cap: Duration = .seconds(60)
    /// How long to retry after the first retryable failure.
    package var budget: Duration

    package init(budget: Duration) { self.budget = budget }

    /// A pause drawn uniformly between zero and the bound for this many failures in a row (at least one).
    package func pause(after failures: Int, using generator: inout SplitMix64) -> Duration {
        var bound = base
        for _ in 1..<max(2, min(failures, 30)) where failures > 1 && bound < cap { bound *= 2 }
        let milliseconds = min(bound, cap).milliseconds
        return .milliseconds(Int64.random(in: 0...max(0, milliseconds), using: &generator))
    }
}

/// A small generator that a test can seed: SplitMix64 (Steele, Lea, Flood 2014).
package struct SplitMix64: RandomNumberGenerator, Equatable, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
