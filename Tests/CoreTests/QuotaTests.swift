import Testing

@testable import Core

@Suite struct QuotaTests {
    @Test(arguments: 0..<200) func `no sliding window at the server holds more calls than the limit`(_ seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        let limit = RateLimit(calls: Int.random(in: 1...6, using: &generator), window: .seconds(60))
        var quota = Quota(limit)
        var now = Duration.zero
        var inFlight: [(answer: Duration, counted: Duration)] = []
        var counted: [Duration] = []
        for _ in 0..<300 {
            now += .milliseconds(Int64.random(in: 0...20_000, using: &generator))
            inFlight.sort { $0.answer < $1.answer }
            while let first = inFlight.first, first.answer <= now {
                quota.answered(now: first.answer)
                inFlight.removeFirst()
            }
            while quota.isFree(now: now) {
                quota.sent()
                // The server counts the call at any moment between its sending and its answer.
                let takes = Int64.random(in: 0...30_000, using: &generator)
                let at = now + .milliseconds(Int64.random(in: 0...takes, using: &generator))
                inFlight.append((now + .milliseconds(takes), at))
                counted.append(at)
            }
        }
        counted.sort()
        for index in counted.indices {
            let inWindow = counted[index...].prefix { $0 < counted[index] + limit.window }.count
            #expect(inWindow <= limit.calls)
        }
        #expect(counted.count > 10)
    }

    @Test func `a limit named by the server counts where it is stricter`() {
        var quota = Quota(RateLimit(calls: 5, window: .seconds(60)))
        quota.sent()
        quota.answered(now: .zero)
        quota.throttled(now: .zero, retryAfter: nil, named: RateLimit(calls: 2, window: .seconds(60)))
        #expect(quota.limit?.calls == 2)
        let early = quota.isFree(now: .seconds(59))
        #expect(!early)
        let later = quota.isFree(now: .seconds(60))
        #expect(later)
        quota.throttled(now: .seconds(60), retryAfter: nil, named: RateLimit(calls: 50, window: .seconds(60)))
        #expect(quota.limit?.calls == 2)
    }
}
