import Core
import Testing

@testable import Planning

@Suite struct LowerBoundTests {
    /// The least total wait of one scope, found by trying every way to deal requests to calls.
    static func optimum(_ arrivals: [Double], capacity: Int, _ limit: RateLimit) -> Double {
        var best = Double.infinity
        var calls: [Double] = []
        func go(_ begin: Int, _ cost: Double) {
            guard cost < best else { return }
            guard begin < arrivals.count else { return best = cost }
            for end in begin + 1...min(arrivals.count, begin + capacity) {
                var time = max(arrivals[end - 1], calls.last ?? 0)
                if calls.count >= limit.calls {
                    time = max(time, calls[calls.count - limit.calls] + limit.window.seconds)
                }
                calls.append(time)
                go(end, cost + arrivals[begin..<end].reduce(0) { $0 + time - $1 })
                calls.removeLast()
            }
        }
        go(0, 0)
        return best
    }

    /// Requests for one scope, each for another host.
    static func plan(_ arrivals: [Double], capacity: Int, _ limit: RateLimit, pacing: Double) -> Plan {
        PlanTests.plan(arrivals.enumerated().map { PlanTests.Request(at: $1, host: "h\($0)") }) {
            ($0.quota, $0.hostsPerCall, $0.pacing) = (limit, capacity, pacing)
        }
    }

    @Test func `no schedule beats the bound, and no rule beats the optimum`() throws {
        var generator = SplitMix64(seed: 7)
        let limit = RateLimit(calls: 2, window: .seconds(10))
        var (bounds, optima, waits, unpaced) = (0.0, 0.0, 0.0, 0.0)
        for _ in 0..<40 {
            let count = Int.random(in: 6...12, using: &generator)
            let span = Double.random(in: 2...40, using: &generator)
            let arrivals = (0..<count).map { _ in
                (Double.random(in: 0..<span, using: &generator) * 1000).rounded() / 1000
            }.sorted()
            let optimum = Self.optimum(arrivals, capacity: 3, limit)
            let plan = Self.plan(arrivals, capacity: 3, limit, pacing: 1)
            let wait = plan.waits.reduce(0) { $0 + $1.wait.seconds }
            let bound = try #require(
                LowerBound.totalWait([.init(arrivals: arrivals, capacity: 3)], limit, known: wait))
            #expect(plan.waits.count == count)
            #expect(bound <= optimum + 1e-6 && optimum <= wait + 0.002 * Double(count))
            bounds += bound
            optima += optimum
            waits += wait
            unpaced += Self.plan(arrivals, capacity: 3, limit, pacing: 0).waits.reduce(0) { $0 + $1.wait.seconds }
        }
        // The bound is worth something, and so is the rule.
        #expect(bounds > 0.9 * optima)
        #expect(waits < 2.2 * optima && waits < 0.9 * unpaced, "\(waits), unpaced \(unpaced), least \(optima)")
    }

    @Test func `pacing holds no request for longer than half a window beyond what calls allow`() throws {
        var generator = SplitMix64(seed: 3)
        let limit = RateLimit(calls: 5, window: .seconds(60))
        for count in [1, 7, 40, 120] {
            let arrivals = (0..<count).map { _ in Double.random(in: 0..<50, using: &generator) }.sorted()
            // All fit into the calls of one window.
            let plan = Self.plan(arrivals, capacity: 100, limit, pacing: 4)
            #expect(plan.waits.count == count)
            #expect(plan.waits.allSatisfy { $0.wait <= .seconds(60) })
            #expect(plan.calls.count <= 5)
        }
    }

    @Test(arguments: [(1.0, 42.0), (5, 41), (30, 44)])
    func `a storm of a thousand requests waits at most as long as promised`(_ span: Double, _ mean: Double) throws {
        var generator = SplitMix64(seed: 5)
        let arrivals = (0..<1000).map { _ in Double.random(in: 0..<span, using: &generator) }.sorted()
        let limit = RateLimit(calls: 5, window: .seconds(60))
        let paced = try #require(Self.plan(arrivals, capacity: 100, limit, pacing: 1).overall)
        let unpaced = try #require(Self.plan(arrivals, capacity: 100, limit, pacing: 0).overall)
        #expect(paced.mean.seconds <= mean && unpaced.mean.seconds > mean)
    }
}
