import Testing

@testable import Core

@Suite struct QuotaTests {
    /// Both clocks begin at zero.
    static func now(_ sinceBoot: Duration) -> Now { now(Uptime(sinceBoot)) }
    static func now(_ time: Uptime) -> Now { Now(uptime: time, wall: Timestamp(milliseconds: 0) + time.sinceBoot) }

    @Test(arguments: 0..<200) func `no sliding window at the server holds more calls than the limit`(_ seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        let limit = RateLimit(calls: Int.random(in: 1...6, using: &generator), window: .seconds(60))
        var quota = Quota(limit)
        var now = Uptime.zero
        var inFlight: [(answer: Uptime, slot: Int?)] = []
        var counted: [Uptime] = []
        for _ in 0..<300 {
            now = now + .milliseconds(Int64.random(in: 0...20_000, using: &generator))
            inFlight.sort { $0.answer < $1.answer }
            while let first = inFlight.first, first.answer <= now {
                quota.answered(first.slot, Self.now(first.answer))
                inFlight.removeFirst()
            }
            while quota.isFree(Self.now(now)) {
                let slot = quota.sent(Self.now(now))
                // The server counts a call at any moment between its sending and its answer.
                let takes = Int64.random(in: 0...30_000, using: &generator)
                let at = now + .milliseconds(Int64.random(in: 0...takes, using: &generator))
                inFlight.append((now + .milliseconds(takes), slot))
                counted.append(at)
            }
        }
        #expect(Self.most(counted, in: limit.window) <= limit.calls)
        #expect(counted.count > 10)
    }

    /// The highest number of these times within any window.
    static func most(_ times: [Uptime], in window: Duration) -> Int {
        let times = times.sorted()
        var (most, start) = (0, 0)
        for end in times.indices {
            while times[end] - times[start] >= window { start += 1 }
            most = max(most, end - start + 1)
        }
        return most
    }

    @Test func `a limit that the server names applies if it is stricter, until the server names a wider one`() {
        var quota = Quota(RateLimit(calls: 5, window: .seconds(60)))
        let slot = quota.sent(Self.now(Uptime.zero))
        quota.answered(slot, Self.now(Uptime.zero))
        quota.throttled(Self.now(Uptime.zero), retryAfter: nil, named: RateLimit(calls: 2, window: .seconds(60)))
        #expect(quota.limit?.calls == 2)
        #expect(!quota.isFree(Self.now(.seconds(59))))
        #expect(quota.isFree(Self.now(.seconds(60))))
        quota.learn(RateLimit(calls: 50, window: .seconds(60)), Self.now(.seconds(60)))
        #expect(quota.limit?.calls == 5, "never above what the operator set")
        quota.learn(RateLimit(calls: 4, window: .seconds(120)), Self.now(.seconds(60)))
        #expect(quota.limit == RateLimit(calls: 4, window: .seconds(120)))
    }

    static let handover = Handover(
        start: [90_000, 30_000].map(Timestamp.init(milliseconds:)), status: [Timestamp(milliseconds: 1)])

    static func taken(
        _ previous: PreviousOwner, calls: Int = 2, at now: Uptime
    ) -> Quota {
        var quota = Quota(RateLimit(calls: calls, window: .seconds(60)), transit: .seconds(5))
        quota.takeOver(previous, busyUntil: \.start, Self.now(now))
        return quota
    }

    /// When each of the slots is free, if each is acquired as soon as it is free.
    static func free(_ quota: Quota, from now: Uptime) -> [Uptime] {
        var (quota, times, now) = (quota, [] as [Uptime], now)
        while times.count < 10, let next = quota.nextFree(Self.now(now)) {
            now = next
            _ = quota.sent(Self.now(now))
            times.append(now)
        }
        return times
    }

    @Test func `the first caller of a group has all slots at once`() {
        #expect(Self.free(Self.taken(.none, calls: 5, at: .zero), from: .zero) == Array(repeating: .zero, count: 5))
    }

    @Test func `each slot is in use until the time in the handover`() {
        let quota = Self.taken(.handedOver(Self.handover), at: Uptime(.seconds(40)))
        #expect(
            Self.free(quota, from: Uptime(.seconds(40))) == [.seconds(40), .seconds(91)].map(Uptime.init),
            "and a second for the clocks")
    }

    @Test func `without a handover every slot counts as spent until a call sent now must have arrived`() {
        let quota = Self.taken(.unknown(idleSince: nil), calls: 3, at: Uptime(.seconds(100)))
        #expect(Self.free(quota, from: Uptime(.seconds(100))) == Array(repeating: Uptime(.seconds(165)), count: 3))
    }

    @Test func `a new caller records what it inherited, so that its own commits do not hide it`() {
        let now = Timestamp(milliseconds: 1_000_000)
        let configuration = Pipeline.Configuration(quota: RateLimit(calls: 2, window: .seconds(60)))
        func trace(_ committed: Int64?, end: Int64, results: Bool = true) -> PreviousOwner.Trace {
            .init(committed: committed, requests: 0..<end, hasResults: results, ledger: Ledger())
        }
        func next(_ previous: PreviousOwner) -> PreviousOwner {
            PreviousOwner(metadata: previous.inherited(now, configuration), [trace(3, end: 3)])
        }
        #expect(next(.none) == .unknown(idleSince: Timestamp(milliseconds: 0)))
        #expect(next(.unknown(idleSince: nil)) == .unknown(idleSince: now + .seconds(5)), "and a transit later")
        #expect(next(.unknown(idleSince: now)) == .unknown(idleSince: now))
        #expect(next(.handedOver(Self.handover)) == .unknown(idleSince: Timestamp(milliseconds: 30_000)))

        #expect(PreviousOwner(metadata: nil, [trace(nil, end: 3, results: false)]) == .none)
        #expect(PreviousOwner(metadata: nil, [trace(nil, end: 0)]) == .unknown(idleSince: nil), "the topic is another")
        #expect(PreviousOwner(metadata: "", [trace(2, end: 3)]) == .unknown(idleSince: nil), "one may be in a call")
        #expect(PreviousOwner(metadata: "", [trace(9, end: 3)]) == .unknown(idleSince: nil))
        for text in ["3;", "3;-1", "3;x", "3;99999999999999999999", "4;7"] {
            let previous = PreviousOwner(metadata: text, [trace(3, end: 3)])
            #expect(previous == .unknown(idleSince: Timestamp(milliseconds: 0)), "\(text)")
        }
    }

    @Test func `a crash of an idle caller delays no call`() {
        let quota = Self.taken(.unknown(idleSince: Timestamp(milliseconds: 10_000)), at: Uptime(.seconds(100)))
        #expect(quota.isFree(Self.now(.seconds(100))))
    }

    @Test func `no handover holds a slot for longer than a call sent now would`() {
        let wrong = Handover(start: [Timestamp(milliseconds: 3_600_000)], status: [])
        let free = Self.free(
            Self.taken(.handedOver(wrong), calls: 1, at: Uptime(.seconds(100))), from: Uptime(.seconds(100)))
        #expect(free == [Uptime(.seconds(166))])
    }

    @Test func `a handover covers the calls in flight`() {
        var quota = Quota(RateLimit(calls: 3, window: .seconds(60)), transit: .seconds(5))
        _ = quota.sent(Self.now(.seconds(10)))
        quota.answered(quota.sent(Self.now(.seconds(10))), Self.now(.seconds(11)))
        #expect(quota.handOver(Self.now(.seconds(20))).map(\.milliseconds) == [85_000, 71_000])
    }

    @Test func `a handover can be encoded and decoded, and other texts are refused`() throws {
        #expect(Handover(Self.handover.text) == Self.handover)
        let refused = Handover(start: [], status: [], refusals: [7, 5].map(Timestamp.init(milliseconds:)))
        #expect(Handover(refused.text) == refused)
        for text in [
            "", "1;2;3", "2;1;1", "2;-1;1;;", "2;1;x;;", "2;1;1;1;99999999999999999999", "2;1;1x0;;", "2;1;1x9999;;",
            "2;1;-5;;", "2;1;" + String(repeating: "1,", count: 3000) + ";;",
        ] {
            #expect(Handover(text) == nil, "\(text)")
        }
    }

    @Test func `a handover of many slots fits beside an offset, and frees none of them too early`() throws {
        let times = (0..<1000).map { Timestamp(milliseconds: 1_767_225_600_000 + Int64($0) * 60_007) }
        let handover = Handover(start: times, status: times)
        #expect(handover.text.utf8.count <= 4096)
        let read = try #require(Handover(handover.text))
        #expect(read.start.count == 1000)
        #expect(zip(read.start, times).allSatisfy { $0 >= $1 && $0 - $1 <= .seconds(601) })
    }

    @Test func `a lower limit counts the calls that were made under the higher one`() {
        var quota = Quota(RateLimit(calls: 5, window: .seconds(60)))
        for _ in 0..<3 { quota.answered(quota.sent(Self.now(Uptime.zero)), Self.now(.seconds(1))) }
        quota.learn(RateLimit(calls: 2, window: .seconds(60)), Self.now(.seconds(2)))
        #expect(!quota.isFree(Self.now(.seconds(2))), "three calls were made in this window, more than there may be")
    }
}
