/// Holds the requests that wait for a call, and decides which call comes next. Calls are scarce, so all requests that
/// wait for the same scope share a call, and a call may wait for company (`Pacing`).
///
/// Lines that may be called are in `order`. All others rest or are parked, and are looked at again when their time comes
/// or when an answer may have changed something. So no operation looks at every line, except while the credential is
/// in doubt (`scan`).
struct Coalescer {
    /// The maximum number of hosts in one call.
    let hostsPerCall: Int
    /// Each wait of this length raises a request by one class, also above `critical`, so that no request waits for
    /// ever. A request that has waited fifteen minutes longer than another goes first, whatever their classes.
    static let agingStep: Duration = .seconds(300)
    /// How many requests that do not fit may be skipped in favour of smaller ones behind them.
    static let passOver = 64
    /// A request that is about to expire is called this long before, if it must not wait for company.
    static let expiryMargin: Duration = .seconds(2)

    var demands = Demands()
    /// Lines by number. A number is used again once its line has ended.
    var lines: [Line] = []
    var free: [Int] = []
    var numbers: [Scope: Int] = [:]
    /// At this many lines, those in which nothing waits are looked for.
    var sweepAt = 4096
    var order = CallOrder()
    /// When a line rises by one class.
    var rises = IndexedHeap<Int, Uptime>()
    /// When a line that rests or is parked is looked at again.
    var wakes = IndexedHeap<Int, Uptime>()
    var parked: [AuthGate.Subject: Set<Int>] = [:]
    /// Lines that wait for company, by the arrival of their oldest request, and by the time at which they go in any case.
    var byAge = IndexedHeap<Int, Uptime>()
    var byTime = IndexedHeap<Int, Uptime>()
    /// Scopes whose calls are refused for their size: the most hosts that a call may have, and until when.
    var ceilings: [Scope: (hosts: Int, until: Uptime)] = [:]
    var pacing: Pacing
    var waitingHosts = 0
    var waitingLines = 0
    /// The latest time that was seen.
    var now: Uptime = .zero

    init(hostsPerCall: Int, pacing: Double = 0) {
        self.hostsPerCall = hostsPerCall
        self.pacing = Pacing(factor: pacing)
    }

    var waitingCount: Int { demands.count }

    // MARK: Requests. Each is O(log n) in the number of lines.

    /// Adds a request, or adds hosts to a request that already waits. `latest`: when it must have been called. `window`: the
    /// quota's.
    mutating func add(
        _ request: RequestID, scope: Scope, priority: Priority, hosts: [String], arrived: Uptime,
        latest: Uptime? = nil, window: Duration = .zero
    ) {
        let line = number(of: scope)
        if demands.update(request, line, { $0.hosts.append(contentsOf: hosts) }) {
            count(hosts, line, by: 1)
            return refresh(line)
        }
        lines[line].company.arrived(at: max(arrived, now), isFirst: lines[line].count == 0, window: window)
        let demand = Demand(line: line, priority: priority, arrived: arrived, latest: latest, hosts: hosts)
        lines[line].waiting[priority.rank].append(request)
        join(request, demand)
        if priority == .critical { reconsider(line) }
        // The line's place stays where an earlier request of the class is in it.
        if lines[line].stop == nil, lines[line].waiting[priority.rank].count > 1, pacing.factor == 0 { return }
        refresh(line)
    }

    /// What one request of a batch waits for again.
    struct Return {
        var part: Batch.Part
        var priority: Priority
        var arrived: Uptime
        var latest: Uptime?
    }

    /// Puts a batch back at the front. The scope is not called before `notBefore`; nil leaves the time as it was.
    mutating func putBack(_ parts: [Return], scope: Scope, notBefore: Uptime? = nil, failures: Int? = nil) {
        let line = number(of: scope)
        for rank in 0..<3 {
            var fresh: [RequestID] = []
            for back in parts where back.priority.rank == rank {
                let (request, hosts) = (back.part.request, back.part.hosts)
                if demands.update(request, line, { $0.hosts.insert(contentsOf: hosts, at: 0) }) {
                    count(hosts, line, by: 1)
                    continue
                }
                lines[line].company.returned(at: back.arrived, isFirst: lines[line].count == 0)
                let demand = Demand(
                    line: line, priority: back.priority, arrived: back.arrived, latest: back.latest, hosts: hosts)
                join(request, demand)
                fresh.append(request)
            }
            if !fresh.isEmpty { lines[line].waiting[rank].prepend(contentsOf: fresh) }
        }
        if parts.contains(where: { $0.priority == .critical }) { reconsider(line) }
        if let notBefore { lines[line].notBefore = notBefore }
        if let failures { lines[line].failures = failures }
        refresh(line)
    }

    /// Removes a request from one scope and returns the hosts it waits for there; nil where it does not wait there.
    mutating func take(_ request: RequestID, in scope: Scope) -> [String]? {
        guard let line = numbers[scope], let demand = removeDemand(request, line) else { return nil }
        refresh(line)
        return demand.hosts
    }

    /// The scopes in which a request waits.
    func scopes(of request: RequestID) -> [Scope] { demands.lines(of: request).map { lines[$0].scope } }

    /// Removes a request from all scopes. True if it was waiting.
    @discardableResult
    mutating func remove(_ request: RequestID) -> Bool {
        let gone = demands.lines(of: request)
        for line in gone {
            _ = removeDemand(request, line)
            refresh(line)
        }
        return !gone.isEmpty
    }

    // MARK: Failures

    /// How many calls in a row have failed for this scope.
    func failures(_ scope: Scope) -> Int { numbers[scope].map { lines[$0].failures } ?? 0 }

    /// Counts a failed call and returns the number of failures in a row, with this one. A call that was already in
    /// flight at the last failure is not counted again.
    mutating func failed(_ scope: Scope, sentAt: Uptime, now: Uptime) -> Int {
        let line = number(of: scope)
        if let at = lines[line].failedAt, sentAt < at { return max(1, lines[line].failures) }
        lines[line].failedAt = now
        lines[line].failures += 1
        return lines[line].failures
    }

    mutating func succeeded(_ scope: Scope) {
        guard let line = numbers[scope] else { return }
        (lines[line].failures, lines[line].failedAt, lines[line].notBefore) = (0, nil, .zero)
        refresh(line)
    }

    /// Calls of the scope have at most this many hosts for a while. False where they had no more already.
    mutating func lowerCeiling(of scope: Scope, to hosts: Int, until: Uptime) -> Bool {
        guard hosts < capacity(of: scope) else { return false }
        if ceilings.count >= 4096 { ceilings = ceilings.filter { $0.value.until > now } }
        guard ceilings.count < 4096 else { return false }
        ceilings[scope.shared] = (hosts, until)
        if let line = numbers[scope.shared] { refresh(line) }
        return true
    }

    /// The most hosts that a call of the scope may have.
    func capacity(of scope: Scope) -> Int {
        guard !ceilings.isEmpty, let ceiling = ceilings[scope.shared], ceiling.until > now else { return hostsPerCall }
        return min(hostsPerCall, ceiling.hosts)
    }

    // MARK: The next call

    /// When the first line may be called, as far as is known; nil where all wait for an answer. A line that is not
    /// allowed shows that only when its turn comes (`next`).
    func nextTime(_ load: Pacing.Load?) -> Uptime? {
        let due = order.isEmpty ? nil : due(hold(load))
        return [due, wakes.first?.key].compactMap { $0 }.min()
    }

    /// Takes the next call out of the queues; nil where no call may go now. `opening` gives the time from which
    /// everything else allows a scope.
    ///
    /// A line that is not allowed is parked until then, or until `unpark`.
    mutating func next(_ time: Uptime, _ load: Pacing.Load?, opening: (Scope) -> Opening) -> Batch? {
        advance(time)
        let hold = hold(load)
        var undue: [Int] = []
        defer { for line in undue { setPlace(line) } }
        while let line = order.first, due(hold) <= now {
            let opening = opening(lines[line].scope)
            let allowed = opening.time(hasCritical: lines[line].hasCritical)
            guard let allowed, allowed <= now else {
                park(line, until: allowed)
                continue
            }
            if due(line, hold) <= now { return takeCall(line, opening) }
            undue.append(line)
            order.remove(line, of: lines[line].scope.project)
        }
        return nil
    }

    /// The same as `next`, but looks at every line, also at those that are parked. No opening is kept.
    mutating func scan(_ time: Uptime, _ load: Pacing.Load?, opening: (Scope) -> Opening) -> Batch? {
        advance(time)
        let hold = hold(load)
        var best: (line: Int, place: CallOrder.Place, opening: Opening)?
        for line in lines.indices where lines[line].count > 0 && lines[line].notBefore <= now {
            let scope = lines[line].scope
            guard due(line, hold) <= now else { continue }
            let opening = opening(scope)
            guard let allowed = opening.time(hasCritical: lines[line].hasCritical), allowed <= now,
                let place = heads(of: line).map({ place(of: $0.request, $0.demand) }).min()
            else { continue }
            if let best, !order.isBefore(place, of: scope.project, best.place, of: lines[best.line].scope.project) {
                continue
            }
            best = (line, place, opening)
        }
        return best.map { takeCall($0.line, $0.opening) }
    }

    /// The same as `nextTime`, but looks at every line.
    func scanTime(_ load: Pacing.Load?, opening: (Scope) -> Opening) -> Uptime? {
        let hold = hold(load)
        var first: Uptime?
        for line in lines.indices where lines[line].count > 0 {
            guard let allowed = opening(lines[line].scope).time(hasCritical: lines[line].hasCritical) else { continue }
            let time = max(allowed, lines[line].notBefore, due(line, hold))
            first = min(first ?? time, time)
        }
        return first
    }

    /// Fills a batch with more requests for the same scope, up to `capacity` hosts.
    mutating func extend(_ batch: Batch, to capacity: Int, now time: Uptime) -> Batch {
        advance(time)
        guard batch.hosts.count < capacity, let line = numbers[batch.scope] else { return batch }
        let extended = fill(batch, to: capacity, from: line)
        refresh(line)
        return extended
    }

    /// A call of this scope was sent.
    mutating func sent(_ batch: Batch, _ time: Uptime, _ load: Pacing.Load?) {
        guard let load, pacing.factor > 0 else { return }
        pacing.sent(batch.scope, hosts: max(1, batch.hosts.count), time, window: load.limit.window)
    }

    /// The parked lines of this subject, or of all, may be allowed now.
    mutating func unpark(_ subject: AuthGate.Subject? = nil) {
        guard !parked.isEmpty else { return }
        let woken = subject.map { parked[$0] ?? [] }.map { Array($0) } ?? parked.values.flatMap { $0 }
        for line in woken { wake(line) }
    }
}
