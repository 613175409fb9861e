/// Takes requests out of a line and into a call.
extension Coalescer {
    /// Takes only the critical requests where the opening allows no others yet. An `operate_all` takes all of them, because
    /// it has its effect for each.
    mutating func takeCall(_ line: Int, _ opening: Opening) -> Batch {
        let scope = lines[line].scope
        order.called(scope.project)
        let batch =
            scope.operateAll
            ? everything(of: line)
            : fill(
                Batch(
                    scope: scope, hosts: [], parts: [], isCriticalOnly: opening.all.map { $0 > now } ?? true),
                to: capacity(of: scope), from: line)
        refresh(line)
        return batch
    }

    mutating func everything(of line: Int) -> Batch {
        var batch = Batch(scope: lines[line].scope, hosts: [], parts: [])
        for rank in 0..<3 {
            while let request = lines[line].waiting[rank].popFirst() {
                if removeDemand(request, line) != nil { batch.parts.append(.init(request: request, hosts: [])) }
            }
        }
        return batch
    }

    mutating func fill(_ batch: Batch, to capacity: Int, from line: Int) -> Batch {
        var batch = batch
        var union = Set(batch.hosts.map(ExactText.init))
        var passedOver = 0
        var places = [0, 0, 0]
        let ranks = batch.isCriticalOnly ? 0..<1 : 0..<3
        while batch.hosts.count < capacity, passedOver < Self.passOver {
            // Takes the queue whose first request has the best effective priority, as between scopes.
            var best: (rank: Int, place: CallOrder.Place)?
            for rank in ranks {
                skipGone(line, rank, &places)
                guard places[rank] < lines[line].waiting[rank].count else { continue }
                let request = lines[line].waiting[rank][places[rank]]
                guard let place = demands[request, line].map({ place(of: request, $0) }) else { continue }
                if best.map({ place < $0.place }) ?? true { best = (rank, place) }
            }
            guard let (rank, place) = best, var demand = removeDemand(place.request, line) else { break }
            let fresh = demand.hosts.filter { !union.contains(ExactText($0)) }
            let room = capacity - batch.hosts.count
            if fresh.count <= room {
                if places[rank] == 0 { lines[line].waiting[rank].popFirst() }
                take(fresh, into: &batch, &union)
                batch.add(demand.hosts, of: place.request)
                continue
            }
            // The request does not fit, and keeps its place.
            places[rank] += 1
            passedOver += 1
            if demand.hosts.count > self.capacity(of: batch.scope) {
                // The request is too large for any call, so as many of its hosts as fit go now.
                let covered = demand.hosts.filter { union.contains(ExactText($0)) }
                take(Array(fresh.prefix(room)), into: &batch, &union)
                batch.add(covered + fresh.prefix(room), of: place.request)
                demand.hosts = Array(fresh.dropFirst(room))
            }
            join(place.request, demand)
        }
        return batch
    }

    /// Advances a place past requests that no longer wait.
    mutating func skipGone(_ line: Int, _ rank: Int, _ places: inout [Int]) {
        while places[rank] < lines[line].waiting[rank].count,
            demands[lines[line].waiting[rank][places[rank]], line] == nil
        {
            if places[rank] == 0 { lines[line].waiting[rank].popFirst() } else { places[rank] += 1 }
        }
    }

    func take(_ hosts: [String], into batch: inout Batch, _ union: inout Set<ExactText>) {
        for host in hosts where hostsPerCall == 1 || union.insert(ExactText(host)).inserted { batch.hosts.append(host) }
    }
}
