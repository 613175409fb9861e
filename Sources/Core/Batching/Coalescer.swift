/// The requests that wait for a call, and which call comes next. Calls are scarce, so whatever waits for the same scope
/// goes together; there is no timer that holds a call back.
struct Coalescer {
    /// Most hosts in one call.
    let hostsPerCall: Int
    /// Waiting this long raises a request by one class, and again, above `critical` too, so that nothing waits for ever:
    /// whoever has waited fifteen minutes longer goes first, whatever the classes.
    static let agingStep: Duration = .seconds(300)
    /// How many requests that do not fit may be passed over for smaller ones behind them.
    private static let passOver = 64

    private struct Demand {
        var scope: Scope
        var priority: Priority
        var arrived: Duration
        var hosts: [String]
    }

    private struct Line {
        /// By priority's rank; names may stand for requests that wait no longer, or in another line.
        var waiting: [Queue<RequestID>] = [.init(), .init(), .init()]
        var count = 0
        var notBefore: Duration = .zero
        var failures = 0
        var failedAt: Duration?
    }

    /// A request waits in several lanes where its hosts do.
    private var demands: [RequestID: [Demand]] = [:]
    private var lines: [Scope: Line] = [:]
    /// Which turn a project had last: a project that had none goes before one that had. Counted, not timed, so that the same
    /// requests make the same calls however long answers take.
    private var served: [ExactText: Int] = [:]
    private var turn = 0

    init(hostsPerCall: Int) { self.hostsPerCall = hostsPerCall }

    var waitingCount: Int { demands.count }

    /// Adds a request, or hosts to one that waits.
    mutating func add(
        _ request: RequestID, scope: Scope, priority: Priority, hosts: [String], arrived: Duration
    ) {
        if let place = place(of: request, in: scope) {
            demands[request]?[place].hosts.append(contentsOf: hosts)
            return
        }
        demands[request, default: []].append(Demand(scope: scope, priority: priority, arrived: arrived, hosts: hosts))
        lines[scope, default: Line()].waiting[priority.rank].append(request)
        lines[scope]?.count += 1
    }

    /// Takes what a request waits for in one scope; nil where it does not wait there.
    mutating func take(_ request: RequestID, in scope: Scope) -> [String]? {
        guard let demand = removeDemand(request, in: scope), var line = lines.removeValue(forKey: scope) else {
            return nil
        }
        line.count -= 1
        settle(line, of: scope)
        return demand.hosts
    }

    /// The scopes in which a request waits.
    func scopes(of request: RequestID) -> [Scope] { (demands[request] ?? []).map(\.scope) }

    /// Puts a batch back in front, not to be called before a time (nil: than it was).
    mutating func putBack(
        _ parts: [(part: Batch.Part, priority: Priority, arrived: Duration)], scope: Scope, notBefore: Duration? = nil,
        failures: Int? = nil
    ) {
        for rank in 0..<3 {
            var fresh: [RequestID] = []
            for (part, priority, arrived) in parts where priority.rank == rank {
                if let place = place(of: part.request, in: scope) {
                    demands[part.request]?[place].hosts.insert(contentsOf: part.hosts, at: 0)
                } else {
                    demands[part.request, default: []].append(
                        Demand(scope: scope, priority: priority, arrived: arrived, hosts: part.hosts))
                    fresh.append(part.request)
                }
            }
            lines[scope, default: Line()].waiting[rank].prepend(contentsOf: fresh)
            lines[scope]?.count += fresh.count
        }
        if let notBefore { lines[scope]?.notBefore = notBefore }
        if let failures { lines[scope]?.failures = failures }
    }

    /// Calls in a row that failed for this scope.
    func failures(_ scope: Scope) -> Int { lines[scope]?.failures ?? 0 }

    /// Takes a failed call, and says how many in a row failed before it and with it. One that was on its way when the last
    /// one failed is no further one.
    mutating func failed(_ scope: Scope, sentAt: Duration, now: Duration) -> Int {
        if let at = lines[scope]?.failedAt, sentAt < at { return max(1, failures(scope)) }
        lines[scope, default: Line()].failedAt = now
        lines[scope]?.failures += 1
        return failures(scope)
    }

    mutating func succeeded(_ scope: Scope) {
        guard var line = lines.removeValue(forKey: scope) else { return }
        (line.failures, line.failedAt, line.notBefore) = (0, nil, .zero)
        settle(line, of: scope)
    }

    /// A request that waits no longer. True where it did wait.
    @discardableResult
    mutating func remove(_ request: RequestID) -> Bool {
        guard let gone = demands.removeValue(forKey: request) else { return false }
        for demand in gone {
            guard var line = lines.removeValue(forKey: demand.scope) else { continue }
            line.count -= 1
            settle(line, of: demand.scope)
        }
        return true
    }

    private func place(of request: RequestID, in scope: Scope) -> Int? {
        demands[request]?.firstIndex { $0.scope == scope }
    }

    private mutating func removeDemand(_ request: RequestID, in scope: Scope) -> Demand? {
        guard let place = place(of: request, in: scope) else { return nil }
        let demand = demands[request]?.remove(at: place)
        if demands[request]?.isEmpty ?? false { demands[request] = nil }
        return demand
    }

    /// What a name in a line's queue stands for; nil where the request was taken from within the queue, or moved on.
    private func demand(_ request: RequestID, in scope: Scope) -> Demand? {
        demands[request]?.first { $0.scope == scope }
    }

    /// Puts a line back after a change: with a request that waits at the head of each queue, or not at all.
    private mutating func settle(_ changed: Line, of scope: Scope) {
        var line = changed
        guard line.count > 0 || line.failures > 0 else { return }
        for rank in 0..<3 {
            while let request = line.waiting[rank].first, demand(request, in: scope) == nil {
                line.waiting[rank].popFirst()
            }
            if line.waiting[rank].count > 2 * line.count + 64 {
                line.waiting[rank].removeAll { demand($0, in: scope) == nil }
            }
        }
        lines[scope] = line
    }

    /// When the first of the scopes that wait may go; nil where none may. `earliest`: what else keeps a scope waiting.
    func nextEligible(now: Duration, earliest: (Scope) -> Duration?) -> Duration? {
        var first: Duration?
        for (scope, line) in lines where line.count > 0 {
            guard let allowed = earliest(scope) else { continue }
            let time = max(allowed, line.notBefore, now)
            first = min(first ?? time, time)
        }
        return first
    }

    /// The next call of a scope that is allowed, taken out of the waiting; nil where nothing may go now.
    ///
    /// Class first (raised by waiting), then the project that had no call for longest, then the longest waiting.
    mutating func next(now: Duration, where isAllowed: (Scope) -> Bool = { _ in true }) -> Batch? {
        var best: (scope: Scope, rank: Int, served: Int, arrived: Duration, request: RequestID)?
        for (scope, line) in lines where line.count > 0 && line.notBefore <= now {
            guard isAllowed(scope), let (rank, arrived, request) = head(of: line, scope, now: now) else { continue }
            let served = served[scope.project] ?? 0
            // Which came first decides between equals, so that the same requests always make the same calls.
            if let b = best, (b.rank, b.served, b.arrived, b.request) <= (rank, served, arrived, request) { continue }
            best = (scope, rank, served, arrived, request)
        }
        guard let scope = best?.scope, var line = lines.removeValue(forKey: scope) else { return nil }
        turn += 1
        served[scope.project] = turn
        if served.count > 4096 { served = served.filter { $0.value > turn - 2048 } }
        // Where calls failed and nobody asks any more.
        if lines.count > 4096 { lines = lines.filter { $0.value.count > 0 || $0.value.notBefore > now } }
        let fresh = Batch(scope: scope, hosts: [], parts: [])
        let batch = scope.operateAll ? everything(of: &line, scope) : fill(fresh, to: hostsPerCall, from: &line, now)
        settle(line, of: scope)
        return batch
    }

    /// A batch with more of those who wait for the same, up to so many hosts.
    mutating func extend(_ batch: Batch, to capacity: Int, now: Duration) -> Batch {
        guard batch.hosts.count < capacity, var line = lines.removeValue(forKey: batch.scope) else { return batch }
        let extended = fill(batch, to: capacity, from: &line, now)
        settle(line, of: batch.scope)
        return extended
    }

    /// What a request has waited for: its class, raised by waiting, then its age.
    private func claim(_ demand: Demand, _ rank: Int, _ now: Duration) -> (rank: Int, arrived: Duration) {
        let raised = Int((now - demand.arrived) / Self.agingStep)
        if demand.scope.lane.isLast { return (max(0, 3 - raised), demand.arrived) }
        return (rank + (demand.scope.lane == .behind ? 1 : 0) - raised, demand.arrived)
    }

    /// The best claim of a line.
    private func head(
        of line: Line, _ scope: Scope, now: Duration
    ) -> (rank: Int, arrived: Duration, request: RequestID)? {
        (0..<3).compactMap { rank -> (rank: Int, arrived: Duration, request: RequestID)? in
            guard let request = line.waiting[rank].first, let demand = demand(request, in: scope) else { return nil }
            let (rank, arrived) = claim(demand, rank, now)
            return (rank, arrived, request)
        }.min { $0 < $1 }
    }

    private mutating func everything(of line: inout Line, _ scope: Scope) -> Batch {
        var batch = Batch(scope: scope, hosts: [], parts: [])
        for rank in 0..<3 {
            while let request = line.waiting[rank].popFirst() {
                guard removeDemand(request, in: scope) != nil else { continue }
                batch.parts.append(.init(request: request, hosts: []))
                line.count -= 1
            }
        }
        return batch
    }

    private mutating func fill(
        _ batch: Batch, to capacity: Int, from line: inout Line, _ now: Duration
    ) -> Batch {
        var batch = batch
        var union = Set(batch.hosts.map(ExactText.init))
        var passedOver = 0
        var places = [0, 0, 0]
        while batch.hosts.count < capacity, passedOver < Self.passOver {
            for rank in 0..<3 { skipGone(&line, batch.scope, rank, &places) }
            let ranks = (0..<3).filter { places[$0] < line.waiting[$0].count }
            // Of the three queues the one whose first has the best claim, as between scopes.
            let claims = ranks.compactMap { rank in
                demand(line.waiting[rank][places[rank]], in: batch.scope).map { (rank, claim($0, rank, now)) }
            }
            guard let rank = claims.min(by: { $0.1 < $1.1 })?.0 else { break }
            let request = line.waiting[rank][places[rank]]
            guard var demand = removeDemand(request, in: batch.scope) else { break }
            let fresh = demand.hosts.filter { !union.contains(ExactText($0)) }
            let room = capacity - batch.hosts.count
            if fresh.count <= room {
                if places[rank] == 0 { line.waiting[rank].popFirst() }
                take(fresh, into: &batch, &union)
                batch.add(demand.hosts, of: request)
                line.count -= 1
                continue
            }
            // It does not fit, and keeps its place.
            places[rank] += 1
            passedOver += 1
            if demand.hosts.count > hostsPerCall {
                // It fits no call: as many hosts as there is room for go now.
                let covered = demand.hosts.filter { union.contains(ExactText($0)) }
                take(Array(fresh.prefix(room)), into: &batch, &union)
                batch.add(covered + fresh.prefix(room), of: request)
                demand.hosts = Array(fresh.dropFirst(room))
            }
            demands[request, default: []].append(demand)
        }
        return batch
    }

    /// Moves a place on, past names of requests that wait no longer.
    private func skipGone(_ line: inout Line, _ scope: Scope, _ rank: Int, _ places: inout [Int]) {
        while places[rank] < line.waiting[rank].count, demand(line.waiting[rank][places[rank]], in: scope) == nil {
            if places[rank] == 0 { line.waiting[rank].popFirst() } else { places[rank] += 1 }
        }
    }

    private func take(_ hosts: [String], into batch: inout Batch, _ union: inout Set<ExactText>) {
        for host in hosts where hostsPerCall == 1 || union.insert(ExactText(host)).inserted { batch.hosts.append(host) }
    }
}
