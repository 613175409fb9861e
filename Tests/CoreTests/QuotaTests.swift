import Testing

@testable import Core

@Suite struct QuotaTests {
    static func now(_ time: Duration) -> Now { Now(uptime: time, wall: Timestamp(milliseconds: 0) + time) }

    @Test(arguments: 0..<200) func `no sliding window at the server holds more calls than the limit`(_ seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        let limit = RateLimit(calls: Int.random(in: 1...6, using: &generator), window: .seconds(60))
        var quota = Quota(limit)
        var now = Duration.zero
        var inFlight: [(answer: Duration, slot: Int?)] = []
        var counted: [Duration] = []
        for _ in 0..<300 {
            now += .milliseconds(Int64.random(in: 0...20_000, using: &generator))
            inFlight.sort { $0.answer < $1.answer }
            while let first = inFlight.first, first.answer <= now {
                quota.answered(first.slot, Self.now(first.answer))
                inFlight.removeFirst()
            }
            while quota.isFree(Self.now(now)) {
                let slot = quota.sent(Self.now(now))
                // The server counts the call at any moment between its sending and its answer.
                let takes = Int64.random(in: 0...30_000, using: &generator)
                let at = now + .milliseconds(Int64.random(in: 0...takes, using: &generator))
                inFlight.append((now + .milliseconds(takes), slot))
                counted.append(at)
            }
        }
        #expect(Self.most(counted, in: limit.window) <= limit.calls)
        #expect(counted.count > 10)
    }

    /// Most of these times within any window.
    static func most(_ times: [Duration], in window: Duration) -> Int {
        let times = times.sorted()
        var (most, start) = (0, 0)
        for end in times.indices {
            while times[end] - times[start] >= window { start += 1 }
            most = max(most, end - start + 1)
        }
        return most
    }

    @Test func `a limit that the server names counts where it is stricter, until it names a wider one`() {
        var quota = Quota(RateLimit(calls: 5, window: .seconds(60)))
        let slot = quota.sent(Self.now(.zero))
        quota.answered(slot, Self.now(.zero))
        quota.throttled(Self.now(.zero), retryAfter: nil, named: RateLimit(calls: 2, window: .seconds(60)))
        #expect(quota.limit?.calls == 2)
        #expect(!quota.isFree(Self.now(.seconds(59))))
        #expect(quota.isFree(Self.now(.seconds(60))))
        quota.learn(RateLimit(calls: 50, window: .seconds(60)), Self.now(.seconds(60)))
        #expect(quota.limit?.calls == 5, "never above what the operator set")
        quota.learn(RateLimit(calls: 4, window: .seconds(120)), Self.now(.seconds(60)))
        #expect(quota.limit == RateLimit(calls: 4, window: .seconds(120)))
    }

    static let handover = Handover(start: Timestamp(milliseconds: 90_000), status: Timestamp(milliseconds: 1))

    @Test func `the owner of all partitions has all slots at once, once he has claimed them`() {
        var quota = Quota(RateLimit(calls: 5, window: .seconds(60)), partitions: 12)
        #expect(quota.nextFree(Self.now(.zero)) == nil)
        quota.claim(
            Dictionary(uniqueKeysWithValues: (0..<12).map { ($0, .fresh) }), busyUntil: \.start, Self.now(.zero))
        for _ in 0..<5 { #expect(quota.sent(Self.now(.zero)) != nil) }
        #expect(!quota.isFree(Self.now(.zero)))
    }

    @Test func `slots are busy as long as the last owner said, and a window where he said nothing`() {
        var quota = Quota(RateLimit(calls: 2, window: .seconds(60)), partitions: 2, transit: .seconds(5))
        quota.claim([0: .handedOver(Self.handover)], busyUntil: \.start, Self.now(.seconds(1)))
        #expect(quota.nextFree(Self.now(.seconds(1))) == .seconds(91), "and a second for the clocks")
        quota.claim([1: .unknown(idleSince: nil)], busyUntil: \.start, Self.now(.seconds(2)))
        _ = quota.sent(Self.now(.seconds(91)))
        #expect(quota.isFree(Self.now(.seconds(91))), "the other slot: 2 s, a window and twice a transit have passed")
        #expect(quota.handOver(0, Self.now(.seconds(91))) == Timestamp(milliseconds: 156_000), "a call is on its way")
        quota.release(0)
        #expect(quota.nextFree(Self.now(.seconds(200))) == .seconds(200), "partition 1 has a slot of its own")
    }

    @Test func `an idle crash costs the one who owns all partitions nothing`() {
        var quota = Quota(RateLimit(calls: 2, window: .seconds(60)), partitions: 2)
        let idle = Claim.unknown(idleSince: Timestamp(milliseconds: 10_000))
        quota.claim([0: idle, 1: idle], busyUntil: \.start, Self.now(.seconds(100)))
        #expect(quota.isFree(Self.now(.seconds(100))))
    }

    @Test func `what was idle in one partition may have been busy in another: the latest counts for all`() {
        var quota = Quota(RateLimit(calls: 2, window: .seconds(60)), partitions: 2)
        quota.claim(
            [
                0: .unknown(idleSince: Timestamp(milliseconds: 90_000)),
                1: .unknown(idleSince: Timestamp(milliseconds: 0)),
            ], busyUntil: \.start, Self.now(.seconds(100)))
        #expect(quota.nextFree(Self.now(.seconds(100))) == .seconds(151))
        var mixed = Quota(RateLimit(calls: 2, window: .seconds(60)), partitions: 2)
        mixed.claim(
            [0: .unknown(idleSince: Timestamp(milliseconds: 0)), 1: .handedOver(Self.handover)], busyUntil: \.start,
            Self.now(.seconds(100)))
        _ = mixed.sent(Self.now(.seconds(100)))
        #expect(mixed.nextFree(Self.now(.seconds(100))) == .seconds(170), "not all was idle")
    }

    @Test func `with more members than calls each has its turn, and no two of one slot are within a window`() {
        var quotas = (0..<12).map { number in
            var quota = Quota(RateLimit(calls: 5, window: .seconds(60)), partitions: 12)
            quota.claim([Int32(number): .fresh], busyUntil: \.start, Self.now(.zero))
            return quota
        }
        var calls: [[Duration]] = Array(repeating: [], count: 12)
        var now = Duration.zero
        while now < .seconds(1200) {
            for member in quotas.indices where quotas[member].isFree(Self.now(now)) {
                let slot = quotas[member].sent(Self.now(now))
                quotas[member].answered(slot, Self.now(now))
                calls[member].append(now)
            }
            now += .milliseconds(500)
        }
        #expect(calls.allSatisfy { $0.count >= 5 })
        #expect(Self.most(calls.flatMap { $0 }, in: .seconds(60)) <= 5)
    }

    @Test func `a handover survives its text, and other texts are none`() throws {
        #expect(Handover(Self.handover.text) == Self.handover)
        for text in ["", "1;2", "2;1;1", "1;-1;1", "1;1;x", "1;1;99999999999999999999"] {
            #expect(Handover(text) == nil)
        }
    }

    @Test func `a lower limit is shared by all the partitions there are`() {
        for first in 0..<12 {
            var quota = Quota(RateLimit(calls: 5, window: .seconds(60)), partitions: 12)
            quota.claim([Int32(first): .fresh], busyUntil: \.start, Self.now(.zero))
            quota.throttled(Self.now(.zero), retryAfter: nil, named: RateLimit(calls: 2, window: .seconds(90)))
            let free = quota.nextFree(Self.now(.seconds(90)))
            #expect(free != nil, "the owner of \(first)")
            #expect(quota.nextFree(Self.now(.zero)).map { $0 >= .seconds(90) } ?? false)
        }
        var alone = Quota(RateLimit(calls: 5, window: .seconds(60)))
        for _ in 0..<3 { alone.answered(alone.sent(Self.now(.zero)), Self.now(.seconds(1))) }
        alone.learn(RateLimit(calls: 2, window: .seconds(60)), Self.now(.seconds(2)))
        #expect(!alone.isFree(Self.now(.seconds(2))), "three calls were made in this window, more than there may be")
    }
}
