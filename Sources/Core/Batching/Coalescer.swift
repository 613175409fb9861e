/// Holds the requests that wait for a call, and decides which call comes next. Calls are scarce, so all requests that
/// wait for the same scope share a call. No timer holds a call back.
struct Coalescer {
    /// The maximum number of hosts in one call.
    let hostsPerCall: Int
    /// Each wait of this length raises a request by one class, also above `critical`, so that no request waits for
    /// ever. A request that has waited fifteen minutes longer than another goes first, whatever their classes.
    static let agingStep: Duration = .seconds(300)
    /// How many requests that do not fit may be skipped in favour of smaller ones behind them.
    private static let passOver = 64

    private struct Demand {
        var scope: Scope
        var priority: Priority
        var arrived: Uptime
        var hosts: [String]
    }

    private struct Line {
        /// Queues by the rank of the priority. A queue may still contain requests that no longer wait,
        /// or that moved to another line.
        var waiting: [Queue<RequestID>] = [.init(), .init(), .init()]
        var count = 0
        var notBefore: Uptime = .zero
        var failures = 0
        var failedAt: Uptime?
    }

    /// A request waits in several lanes where its hosts do.
    private var demands: [RequestID: [Demand]] = [:]
    private var lines: [Scope: Line] = [:]
    /// The turn of each project's last call. A project without a call goes before one that had a call. Turns are
    /// counted, not timed, so that the same requests make the same calls however long answers take.
    private var served: [ExactText: Int] = [:]
    private var turn = 0

    init(hostsPerCall: Int) { self.hostsPerCall = hostsPerCall }

    var waitingCount: Int { demands.count }

    /// Adds a request, or adds hosts to a request that already waits.
    mutating func add(
        _ request: RequestID, scope: Scope, priority: Priority, hosts: [String], arrived: Uptime
    ) {
        if let place = place(of: request, in: scope) {
            demands[request]?[place].hosts.append(contentsOf: hosts)
            return
        }
        demands[request, default: []].append(Demand(scope: scope, priority: priority, arrived: arrived, hosts: hosts))
        lines[scope, default: Line()].waiting[priority.rank].append(request)
        lines[scope]?.count += 1
    }

    /// Removes a request from one scope and returns the hosts it waits for there; nil where it does not wait there.
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

    /// Puts a batch back at the front. The scope is not called before `notBefore`; nil leaves the time as it was.
    mutating func putBack(
        _ parts: [(part: Batch.Part, priority: Priority, arrived: Uptime)], scope: Scope, notBefore: Uptime? = nil,
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

    /// How many calls in a row have failed for this scope.
    func failures(_ scope: Scope) -> Int { lines[scope]?.failures ?? 0 }

    /// Counts a failed call and returns the number of failures in a row, with this one. A call that was already in
    /// flight at the last failure is not counted again.
    mutating func failed(_ scope: Scope, sentAt: Uptime, now: Uptime) -> Int {
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

    /// Removes a request from all scopes. True if it was waiting.
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

    /// The demand of a request in a line's queue; nil where the request was already taken or moved to another line.
    private func demand(_ request: RequestID, in scope: Scope) -> Demand? {
        demands[request]?.first { $0.scope == scope }
    }

    /// Stores a line after a change. The head of each queue is then a request that waits. A line where nothing waits
    /// and no call has failed is dropped.
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

    /// When the first waiting scope may be called; nil where none may. `earliest` gives the time from which everything
    /// else allows a scope; nil blocks the scope.
    func nextEligible(now: Uptime, earliest: (Scope) -> Uptime?) -> Uptime? {
        var first: Uptime?
        for (scope, line) in lines where line.count > 0 {
            guard let allowed = earliest(scope) else { continue }
            let time = max(allowed, line.notBefore, now)
            first = min(first ?? time, time)
        }
        return first
    }

    /// Takes the next call of an allowed scope out of the queues; nil where no call may go now.
    ///
    /// The order is by class (raised by waiting), then by the project that has gone longest without a
    /// call, then by the longest wait.
    mutating func next(now: Uptime, where isAllowed: (Scope) -> Bool = { _ in true }) -> Batch? {
        var best: (scope: Scope, rank: Int, served: Int, arrived: Uptime, request: RequestID)?
        for (scope, line) in lines where line.count > 0 && line.notBefore <= now {
            guard isAllowed(scope), let (rank, arrived, request) = head(of: line, scope, now: now) else { continue }
            let served = served[scope.project] ?? 0
            // The earlier request wins a tie, so that the same requests always make the same calls.
            if let b = best, (b.rank, b.served, b.arrived, b.request) <= (rank, served, arrived, request) { continue }
            best = (scope, rank, served, arrived, request)
        }
        guard let scope = best?.scope, var line = lines.removeValue(forKey: scope) else { return nil }
        turn += 1
        served[scope.project] = turn
        if served.count > 4096 { served = served.filter { $0.value > turn - 2048 } }
        // Drops scopes whose calls failed and for which no request waits any more.
        if lines.count > 4096 { lines = lines.filter { $0.value.count > 0 || $0.value.notBefore > now } }
        let fresh = Batch(scope: scope, hosts: [], parts: [])
        let batch = scope.operateAll ? everything(of: &line, scope) : fill(fresh, to: hostsPerCall, from: &line, now)
        settle(line, of: scope)
        return batch
    }

    /// Fills a batch with more requests for the same scope, up to `capacity` hosts.
    mutating func extend(_ batch: Batch, to capacity: Int, now: Uptime) -> Batch {
        guard batch.hosts.count < capacity, var line = lines.removeValue(forKey: batch.scope) else { return batch }
        let extended = fill(batch, to: capacity, from: &line, now)
        settle(line, of: batch.scope)
        return extended
    }

    /// The effective priority of a demand: its class, raised by waiting, then its time of arrival. A demand in a last
    /// lane (`Lane.isLast`) rises no further than `critical`.
    private func claim(_ demand: Demand, _ rank: Int, _ now: Uptime) -> (rank: Int, arrived: Uptime) {
        let raised = Int((now - demand.arrived) / Self.agingStep)
        if demand.scope.lane.isLast { return (max(0, 3 - raised), demand.arrived) }
        return (rank + (demand.scope.lane == .behind ? 1 : 0) - raised, demand.arrived)
    }

    /// The request of a line with the best effective priority.
    private func head(
        of line: Line, _ scope: Scope, now: Uptime
    ) -> (rank: Int, arrived: Uptime, request: RequestID)? {
        (0..<3).compactMap { rank -> (rank: Int, arrived: Uptime, request: RequestID)? in
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
        _ batch: Batch, to capacity: Int, from line: inout Line, _ now: Uptime
    ) -> Batch {
        var batch = batch
        var union = Set(batch.hosts.map(ExactText.init))
        var passedOver = 0
        var places = [0, 0, 0]
        while batch.hosts.count < capacity, passedOver < Self.passOver {
            for rank in 0..<3 { skipGone(&line, batch.scope, rank, &places) }
            let ranks = (0..<3).filter { places[$0] < line.waiting[$0].count }
            // Takes the queue whose first request has the best effective priority, as between scopes.
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
            // The request does not fit, and keeps its place.
            places[rank] += 1
            passedOver += 1
            if demand.hosts.count > hostsPerCall {
                // The request is too large for any call, so as many of its hosts as fit go now.
                let covered = demand.hosts.filter { union.contains(ExactText($0)) }
                take(Array(fresh.prefix(room)), into: &batch, &union)
                batch.add(covered + fresh.prefix(room), of: request)
                demand.hosts = Array(fresh.dropFirst(room))
            }
            demands[request, default: []].append(demand)
        }
        return batch
    }

    /// Advances a place past requests that no longer wait.
    private func skipGone(_ line: inout Line, _ scope: Scope, _ rank: Int, _ places: inout [Int]) {
        while places[rank] < line.waiting[rank].count, demand(line.waiting[rank][places[rank]], in: scope) == nil {
            if places[rank] == 0 { line.waiting[rank].popFirst() } else { places[rank] += 1 }
        }
    }

    private func take(_ hosts: [String], into batch: inout Batch, _ union: inout Set<ExactText>) {
        for host in hosts where hostsPerCall == 1 || union.insert(ExactText(host)).inserted { batch.hosts.append(host) }
    }
}
