/// Keeps each line in its place: in the order of calls, resting, parked, or gone.
extension Coalescer {
    mutating func number(of scope: Scope) -> Int {
        if let known = numbers[scope] { return known }
        dropFailed()
        let line: Int
        if let old = free.popLast() {
            line = old
            lines[line] = Line(scope)
        } else {
            line = lines.count
            lines.append(Line(scope))
        }
        numbers[scope] = line
        return line
    }

    /// Drops lines whose calls failed and in which no request waits any more, once there are many.
    mutating func dropFailed() {
        guard numbers.count > sweepAt else { return }
        for (scope, line) in numbers where lines[line].count == 0 && lines[line].notBefore <= now {
            numbers[scope] = nil
            free.append(line)
        }
        sweepAt = max(4096, 2 * numbers.count)
    }

    mutating func join(_ request: RequestID, _ demand: Demand) {
        let line = demand.line
        demands.add(demand, of: request)
        lines[line].count += 1
        if lines[line].count == 1 { waitingLines += 1 }
        if demand.priority == .critical { lines[line].company.criticals += 1 }
        guard pacing.factor > 0 else { return }
        count(demand.hosts, line, by: 1)
        if let latest = demand.latest { lines[line].company.latest.set(request, latest - Self.expiryMargin) }
    }

    /// Counts each host of a line once, because a call names it once.
    mutating func count(_ hosts: [String], _ line: Int, by number: Int) {
        guard pacing.factor > 0 else { return }
        waitingHosts -= lines[line].company.hosts.count
        for host in hosts {
            let host = ExactText(host)
            let count = (lines[line].company.hosts[host] ?? 0) + number
            lines[line].company.hosts[host] = count > 0 ? count : nil
        }
        waitingHosts += lines[line].company.hosts.count
    }

    mutating func removeDemand(_ request: RequestID, _ line: Int) -> Demand? {
        guard let demand = demands.remove(request, line) else { return nil }
        lines[line].count -= 1
        if lines[line].count == 0 { waitingLines -= 1 }
        if demand.priority == .critical { lines[line].company.criticals -= 1 }
        guard pacing.factor > 0 else { return demand }
        count(demand.hosts, line, by: -1)
        lines[line].company.latest.remove(request)
        return demand
    }

    /// Updates a line's place after a change. The head of each queue is then a request that waits. A line in which
    /// nothing waits and no call has failed ends.
    mutating func refresh(_ line: Int) {
        guard lines[line].count > 0 else {
            leave(line, because: .empty)
            let scope = lines[line].scope
            if lines[line].failures == 0, numbers.removeValue(forKey: scope) != nil { free.append(line) }
            return
        }
        for rank in 0..<3 { dropGone(line, rank) }
        if lines[line].stop == .parked { return }
        if lines[line].notBefore > now {
            leave(line, because: .resting)
            wakes.set(line, lines[line].notBefore)
            return
        }
        if lines[line].stop != nil {
            lines[line].stop = nil
            wakes.remove(line)
        }
        setPlace(line)
    }

    mutating func dropGone(_ line: Int, _ rank: Int) {
        while let request = lines[line].waiting[rank].first, demands[request, line] == nil {
            lines[line].waiting[rank].popFirst()
        }
        guard lines[line].waiting[rank].count > 2 * lines[line].count + 64 else { return }
        let demands = demands
        lines[line].waiting[rank].removeAll { demands[$0, line] == nil }
    }

    mutating func setPlace(_ line: Int) {
        let heads = heads(of: line)
        guard let place = heads.map({ place(of: $0.request, $0.demand) }).min(),
            let rise = heads.map({ nextRise(of: $0.demand) }).min()
        else {
            return rises.remove(line)
        }
        order.set(line, of: lines[line].scope.project, place)
        rises.set(line, rise)
        guard pacing.factor > 0 else { return }
        if isUrgent(line) {
            byAge.remove(line)
            byTime.set(line, .zero)
        } else {
            byAge.set(line, Self.oldest(heads) ?? now)
            if let early = early(line) { byTime.set(line, early) } else { byTime.remove(line) }
        }
    }

    mutating func leave(_ line: Int, because stop: Line.Stop) {
        if lines[line].stop == .parked { forgetParked(line) }
        lines[line].stop = stop
        order.remove(line, of: lines[line].scope.project)
        rises.remove(line)
        byAge.remove(line)
        byTime.remove(line)
        wakes.remove(line)
    }

    mutating func park(_ line: Int, until: Uptime?) {
        leave(line, because: .parked)
        parked[lines[line].scope.subject(), default: []].insert(line)
        if let until { wakes.set(line, until) }
    }

    mutating func wake(_ line: Int) {
        if lines[line].stop == .parked {
            forgetParked(line)
            lines[line].stop = .empty
        }
        wakes.remove(line)
        refresh(line)
    }

    /// A critical request has joined the line. It may be allowed where the others are not.
    mutating func reconsider(_ line: Int) { if lines[line].stop == .parked { wake(line) } }

    mutating func forgetParked(_ line: Int) {
        let subject = lines[line].scope.subject()
        parked[subject]?.remove(line)
        if parked[subject]?.isEmpty ?? false { parked[subject] = nil }
    }

    /// Looks at the lines whose time has come.
    mutating func advance(_ time: Uptime) {
        now = max(now, time)
        while let first = wakes.first, first.key <= now { wake(first.id) }
        while let first = rises.first, first.key <= now { setPlace(first.id) }
    }

    // MARK: Order

    /// The effective priority of a demand: its class, raised by waiting, then its time of arrival. A demand in a last
    /// lane (`Lane.isLast`) rises no further than `critical`.
    func place(of request: RequestID, _ demand: Demand) -> CallOrder.Place {
        let raised = raised(since: demand.arrived)
        let lane = lines[demand.line].scope.lane
        let rank =
            lane.isLast ? max(0, 3 - raised) : demand.priority.rank + (lane == .behind ? 1 : 0) - raised
        return CallOrder.Place(rank: rank, arrived: demand.arrived, request: request)
    }

    /// The first request of each queue of a line.
    func heads(of line: Int) -> [(request: RequestID, demand: Demand)] {
        lines[line].waiting.compactMap { queue in
            queue.first.flatMap { request in demands[request, line].map { (request, $0) } }
        }
    }

    /// By how many classes a request is raised.
    func raised(since arrived: Uptime) -> Int {
        let waited = now - arrived
        return waited < Self.agingStep ? 0 : Int(waited.components.seconds / Self.agingStep.components.seconds)
    }

    func nextRise(of demand: Demand) -> Uptime {
        demand.arrived + Self.agingStep * (raised(since: demand.arrived) + 1)
    }

    // MARK: Pacing

    func hold(_ load: Pacing.Load?) -> Pacing.Hold? {
        pacing.hold(load, hosts: waitingHosts, lines: waitingLines)
    }

    /// Whether the line's call waits for nothing.
    func isUrgent(_ line: Int) -> Bool {
        !lines[line].isPaced || lines[line].company.hosts.count >= capacity(of: lines[line].scope)
    }

    static func oldest(_ heads: [(request: RequestID, demand: Demand)]) -> Uptime? { heads.map(\.demand.arrived).min() }

    func early(_ line: Int) -> Uptime? {
        [lines[line].company.quietAt, lines[line].company.latest.first?.key].compactMap { $0 }.min()
    }

    /// When a line is due.
    func due(_ line: Int, _ hold: Pacing.Hold?) -> Uptime {
        guard let hold, !isUrgent(line) else { return .zero }
        return hold.due(Self.oldest(heads(of: line)) ?? now, early: early(line))
    }

    /// When the first of the lines in the order is due.
    func due(_ hold: Pacing.Hold?) -> Uptime {
        guard let hold else { return .zero }
        let first = byTime.first?.key
        return byAge.first.map { hold.due($0.key, early: first) } ?? first ?? .zero
    }
}

extension Coalescer {
    /// Until when the scope rests after a failed call; nil where nothing waits in it.
    func restsUntil(_ scope: Scope) -> Uptime? { numbers[scope].map { lines[$0].notBefore } }

    /// The arrival of the oldest request of each class that waits. O(lines).
    func oldest() -> [Priority: Uptime] {
        var found: [Priority: Uptime] = [:]
        for line in lines.indices where lines[line].count > 0 {
            for head in heads(of: line) {
                found[head.demand.priority] = min(
                    found[head.demand.priority] ?? head.demand.arrived, head.demand.arrived)
            }
        }
        return found
    }
}
