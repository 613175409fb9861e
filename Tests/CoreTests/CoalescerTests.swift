import Testing

@testable import Core

@Suite struct CoalescerTests {
    static func scope(_ project: String = "p", plugin: String = "ndr") throws -> Scope {
        let json =
            #"{"idempotency_key":"k","project_id":"\#(project)","plugin_code":"\#(plugin)","host_id_list":["h"]}"#
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: Array(json.utf8))
        return Scope(try RequestDecoder(maximumBytes: 1000, policy: Policy()).decode(record).get())
    }

    static func hosts(_ batch: Batch?) -> [String] { batch?.hosts ?? [] }

    @Test func `waiting requests of a scope share a call, each host once`() throws {
        var line = Coalescer(hostsPerCall: 10)
        let scope = try Self.scope()
        line.add(1, scope: scope, priority: .normal, hosts: ["a", "b"], arrived: .zero)
        line.add(2, scope: scope, priority: .normal, hosts: ["b", "c"], arrived: .zero)
        let taken = line.next(now: .zero)
        let batch = try #require(taken)
        #expect(batch.hosts == ["a", "b", "c"] && batch.parts.map(\.hosts) == [["a", "b"], ["b", "c"]])
        #expect(line.waitingCount == 0)
    }

    @Test func `a higher class goes first, until a lower one has waited for long enough`() throws {
        let (first, second) = (try Self.scope("p"), try Self.scope("q"))
        for (waited, expected) in [(0, "critical"), (601, "bulk")] as [(Int64, String)] {
            var line = Coalescer(hostsPerCall: 10)
            line.add(1, scope: first, priority: .bulk, hosts: ["bulk"], arrived: .zero)
            line.add(2, scope: second, priority: .critical, hosts: ["critical"], arrived: Uptime(.seconds(waited)))
            let next = line.next(now: Uptime(.seconds(waited)))
            #expect(Self.hosts(next) == [expected])
        }
    }

    @Test func `projects take turns within a class`() throws {
        var line = Coalescer(hostsPerCall: 1)
        for (id, project) in [(1, "p"), (2, "p"), (3, "q")] as [(RequestID, String)] {
            line.add(id, scope: try Self.scope(project), priority: .normal, hosts: ["\(project)\(id)"], arrived: .zero)
        }
        let turns = (0..<3).flatMap { _ in Self.hosts(line.next(now: .zero)) }
        #expect(turns == ["p1", "q3", "p2"])
    }

    @Test func `a request that does not fit keeps its place, and one too large for a call is split`() throws {
        var line = Coalescer(hostsPerCall: 3)
        let scope = try Self.scope()
        line.add(1, scope: scope, priority: .normal, hosts: ["a", "b"], arrived: .zero)
        line.add(2, scope: scope, priority: .normal, hosts: ["c", "d"], arrived: .zero)
        line.add(3, scope: scope, priority: .normal, hosts: ["e"], arrived: .zero)
        let calls = (0..<2).map { _ in Self.hosts(line.next(now: .zero)) }
        #expect(calls == [["a", "b", "e"], ["c", "d"]])
        line.add(4, scope: scope, priority: .normal, hosts: (0..<7).map { "h\($0)" }, arrived: .zero)
        let pieces = (0..<3).map { _ in Self.hosts(line.next(now: .zero)).count }
        #expect(pieces == [3, 3, 1])
    }

    @Test func `a requeued batch comes first again, but not before its time`() throws {
        var line = Coalescer(hostsPerCall: 1)
        let scope = try Self.scope()
        for id in 1...2 as ClosedRange<RequestID> {
            line.add(id, scope: scope, priority: .normal, hosts: ["h\(id)"], arrived: .zero)
        }
        let taken = line.next(now: .zero)
        let batch = try #require(taken)
        line.putBack(
            batch.parts.map { .init(part: $0, priority: .normal, arrived: .zero) }, scope: scope,
            notBefore: Uptime(.seconds(5)), failures: 1)
        let tooSoon = line.next(now: Uptime(.seconds(4)))
        #expect(tooSoon == nil)
        #expect(line.nextTime(nil) == Uptime(.seconds(5)))
        let again = line.next(now: Uptime(.seconds(5)))
        #expect(Self.hosts(again) == ["h1"] && line.failures(scope) == 1)
    }

    @Test func `a removed request is in no call, and a blocked scope is left out`() throws {
        var line = Coalescer(hostsPerCall: 10)
        let (first, second) = (try Self.scope("p"), try Self.scope("q"))
        line.add(1, scope: first, priority: .normal, hosts: ["a"], arrived: .zero)
        line.add(2, scope: first, priority: .normal, hosts: ["b"], arrived: .zero)
        line.add(3, scope: second, priority: .normal, hosts: ["c"], arrived: .zero)
        let removals = [line.remove(1), line.remove(1)]
        #expect(removals == [true, false])
        let allowed = line.next(now: .zero, where: { $0 == second })
        #expect(Self.hosts(allowed) == ["c"] && line.nextTime(nil) == nil)
        let parked = line.next(now: .zero)
        line.unpark(first.subject())
        let last = line.next(now: .zero)
        #expect(parked == nil && Self.hosts(last) == ["b"])
    }
}

extension Coalescer {
    /// The next call of an allowed scope, without pacing.
    mutating func next(now: Uptime, where isAllowed: (Scope) -> Bool = { _ in true }) -> Batch? {
        next(now, nil) { Opening(isAllowed($0) ? now : nil) }
    }
}
