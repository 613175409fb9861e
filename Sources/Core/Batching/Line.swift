/// What waits for one scope.
struct Line {
    /// Why a line gets no call now.
    enum Stop {
        /// Nothing waits.
        case empty
        /// Calls have failed, and the next one is not due yet.
        case resting
        /// Something else does not allow the scope.
        case parked
    }

    var scope: Scope
    /// Queues by the rank of the priority. A queue may still contain requests that no longer wait, or that moved to
    /// another line.
    var waiting: [Queue<RequestID>] = [.init(), .init(), .init()]
    var count = 0
    var notBefore: Uptime = .zero
    var failures = 0
    var failedAt: Uptime?
    var company = Pacing.Company()
    /// Nil while the line is in the order of calls.
    var stop: Stop? = .empty

    init(_ scope: Scope) { self.scope = scope }

    var hasCritical: Bool { company.criticals > 0 }

    /// Whether a call of the line waits for company. Calls that come after all others must not take the slots that
    /// others leave free.
    var isPaced: Bool { scope.lane.isLast || (scope.lane == .shared && company.criticals == 0) }
}

/// What a request waits for in one line.
struct Demand {
    var line: Int
    var priority: Priority
    var arrived: Uptime
    /// When it must have been called.
    var latest: Uptime?
    var hosts: [String]
}

/// The demands of the requests that wait. Most requests wait in one line; a request waits in several where its hosts do.
struct Demands {
    private var first: [RequestID: Demand] = [:]
    private var others: [RequestID: [Demand]] = [:]

    var count: Int { first.count }

    subscript(request: RequestID, line: Int) -> Demand? {
        guard let demand = first[request] else { return nil }
        if demand.line == line { return demand }
        return others[request]?.first { $0.line == line }
    }

    func lines(of request: RequestID) -> [Int] {
        (first[request].map { [$0.line] } ?? []) + (others[request] ?? []).map(\.line)
    }

    mutating func add(_ demand: Demand, of request: RequestID) {
        if first[request] == nil { first[request] = demand } else { others[request, default: []].append(demand) }
    }

    /// Changes a demand. False where there is none.
    mutating func update(_ request: RequestID, _ line: Int, _ change: (inout Demand) -> Void) -> Bool {
        guard let index = first.index(forKey: request) else { return false }
        if first.values[index].line == line {
            change(&first.values[index])
            return true
        }
        guard let place = others[request]?.firstIndex(where: { $0.line == line }) else { return false }
        if var demand = others[request]?[place] {
            change(&demand)
            others[request]?[place] = demand
        }
        return true
    }

    mutating func remove(_ request: RequestID, _ line: Int) -> Demand? {
        guard let demand = first[request] else { return nil }
        guard var more = others[request] else {
            guard demand.line == line else { return nil }
            first[request] = nil
            return demand
        }
        let removed: Demand
        if demand.line == line {
            removed = demand
            first[request] = more.removeFirst()
        } else {
            guard let place = more.firstIndex(where: { $0.line == line }) else { return nil }
            removed = more.remove(at: place)
        }
        others[request] = more.isEmpty ? nil : more
        return removed
    }
}
