/// Carries out what `Isolation` decides: bisects refused batches, and separates faulty hosts from sound ones.
extension Pipeline {
    /// For how long a scope's calls stay small after a call was refused for its size.
    static let ceilingLasts: Duration = .seconds(3600)

    /// Starts or continues the search for the faulty hosts of a refused call.
    mutating func isolate(_ refused: Batch, _ failure: Failure, _ now: Now) {
        let batch = withoutGivenUp(refused)
        guard !batch.hosts.isEmpty else { return }
        if batch.hosts.count == 1 { return faulty(batch, failure, now) }
        guard case .half(let tree, let index) = batch.scope.lane else {
            move(batch, from: batch.scope.lane, to: .held)
            return ask(batch, .refused(failure), now)
        }
        if isolation.refused(tree: tree, index: index, failure), let part = batch.parts.first {
            endWhole(part, failure, now)
        } else {
            bisect(batch, failure, now)
        }
    }

    /// These hosts are the cause. They are quarantined from now on, and have their outcome where the failure is final.
    mutating func faulty(_ batch: Batch, _ failure: Failure, _ now: Now) {
        move(batch, from: .held, to: .behind)
        quarantine(batch.hosts, of: batch.scope, now)
        if failure.disposition == .refuse {
            for part in batch.parts { settle(part, failure: failure, now) }
            return
        }
        var apart = batch
        apart.scope.lane = .quarantined
        let failures = coalescer.failures(apart.scope) + 1
        // The call waits for a while, because it is likely to be refused again.
        let pause = retry.pause(after: failures + 4, using: &generator)
        putBack(apart, failure, notBefore: now.uptime + pause, failures: failures, now)
    }

    /// Moves the other hosts that a batch's requests wait for from one lane to another.
    mutating func move(_ batch: Batch, from lane: Lane, to other: Lane) {
        var (scope, target) = (batch.scope, batch.scope)
        (scope.lane, target.lane) = (lane, other)
        for part in batch.parts {
            guard let hosts = coalescer.take(part.request, in: scope), let entry = open[part.request],
                let request = entry.request
            else { continue }
            coalescer.add(
                part.request, scope: target, priority: request.priority, hosts: hosts, arrived: entry.admittedAt,
                latest: entry.expiresBy)
        }
    }

    func quarantineEnds(_ now: Now) -> Uptime { now.uptime + configuration.quarantine }

    mutating func quarantine(_ hosts: [String], of scope: Scope, _ now: Now) {
        isolation.quarantine(hosts, of: scope.project, until: quarantineEnds(now), now: now.uptime)
    }

    /// Puts a batch back at the front of the line, each request in its class.
    mutating func requeue(_ batch: Batch) {
        let parts = batch.parts.compactMap { part -> Coalescer.Return? in
            guard let entry = open[part.request], let request = entry.request, entry.stage == .calling else {
                return nil
            }
            return .init(part: part, priority: request.priority, arrived: entry.admittedAt, latest: entry.expiresBy)
        }
        if !parts.isEmpty { coalescer.putBack(parts, scope: batch.scope) }
    }

    /// Splits the hosts of a refused call into two calls.
    mutating func bisect(_ refused: Batch, _ failure: Failure, _ now: Now) {
        let batch = withoutGivenUp(refused)
        guard !batch.hosts.isEmpty else { return }
        var (tree, index) = (0, 1)
        if case .half(let grown, let at) = batch.scope.lane { (tree, index) = (grown, at) }
        // Once a request is alone, a tree of its own shows whether the whole request is refused.
        // A chain of halves that grows on one side only would run out of numbers.
        if tree == 0 || index >= 1 << 20
            || (batch.parts.count == 1 && !isolation.isOwner(batch.parts.first?.request, of: tree))
        {
            (tree, index) = (isolation.grow(batch, failure), 1)
        }
        if batch.parts.count == 1, let part = batch.parts.first {
            let hosts = open[part.request]?.request?.hostIDs.count ?? 0
            let planned = (open[part.request]?.halves ?? 0) + 2
            guard planned < Isolation.callsForOne(hosts: hosts) else { return settle(part, failure: failure, now) }
            open.update(part.request) { $0.halves = planned }
        }
        for (half, place) in zip(halves(of: batch), [2 * index, 2 * index + 1]) {
            var half = half
            half.scope.lane = .half(tree: tree, index: place)
            isolation.plan(tree: tree, index: place, hosts: half.hosts.count, failure)
            requeue(half)
        }
    }

    /// A half of a refused call was accepted.
    mutating func halfAccepted(_ half: Batch, _ tree: Int, _ index: Int, _ now: Now) {
        move(half, from: .held, to: .behind)
        guard let hosts = isolation.accepted(tree: tree, index: index, hosts: half.hosts.count),
            coalescer.lowerCeiling(of: half.scope, to: hosts, until: now.uptime + Self.ceilingLasts)
        else { return }
        effects.append(
            .log(.ceilingLowered(project: half.scope.project.text, plugin: half.scope.plugin.text, hosts: hosts)))
    }

    /// Splits between requests where there are several, so that each request is alone soon.
    private func halves(of batch: Batch) -> [Batch] {
        guard batch.parts.count > 1 else {
            let first = batch.only(batch.hosts.prefix(batch.hosts.count / 2))
            return [first, batch.without(first.hosts)]
        }
        var halves = [batch, batch]
        halves[0].parts = []
        var count = 0
        // Requests may share hosts.
        let total = batch.parts.reduce(0) { $0 + $1.hosts.count }
        for part in batch.parts.dropLast()
        where halves[0].parts.isEmpty || count + part.hosts.count <= total / 2 {
            halves[0].parts.append(part)
            count += part.hosts.count
        }
        let first = Set(halves[0].parts.map(\.request))
        halves[1].parts.removeAll { first.contains($0.request) }
        return halves.map { $0.only($0.parts.flatMap(\.hosts)) }
    }

    /// Refuses the rest of the request too, without a call, because all quarters of a call for
    /// this request alone were refused.
    private mutating func endWhole(_ part: Batch.Part, _ failure: Failure, _ now: Now) {
        var hosts = part.hosts
        for scope in coalescer.scopes(of: part.request) {
            hosts += coalescer.take(part.request, in: scope) ?? []
        }
        settle(Batch.Part(request: part.request, hosts: hosts), failure: failure, now)
    }

    /// Takes the requests that name a quarantined host out of a batch. Quarantined hosts then wait separately, and the
    /// other hosts of these requests wait in lane `behind`. Nil where the batch names no quarantined host.
    mutating func withoutQuarantined(_ batch: Batch, _ now: Now) -> Batch? {
        switch batch.scope.lane {
        case .shared, .behind: break
        case .held, .quarantined, .half: return nil
        }
        let project = batch.scope.project
        let faulty = Set(
            batch.hosts.filter { isolation.isQuarantined($0, of: project, now: now.uptime) }.map(ExactText.init))
        guard !faulty.isEmpty else { return nil }
        let moved = batch.parts.filter { $0.hosts.contains { faulty.contains(ExactText($0)) } }
        for part in moved {
            let waiting = coalescer.take(part.request, in: batch.scope) ?? []
            enqueue(part.request, part.hosts + waiting, faulty, batch.scope)
        }
        let requests = Set(moved.map(\.request))
        return batch.without { requests.contains($0) }
    }

    /// Puts a request in line. Faulty hosts wait separately. The other hosts then wait in lane `behind`.
    mutating func enqueue(_ id: RequestID, _ hosts: [String], _ faulty: Set<ExactText>, _ scope: Scope) {
        guard let entry = open[id], let request = entry.request, entry.stage == .calling else { return }
        func add(_ hosts: [String], _ lane: Lane) {
            var scope = scope
            scope.lane = lane
            coalescer.add(
                id, scope: scope, priority: request.priority, hosts: hosts, arrived: entry.admittedAt,
                latest: entry.expiresBy, window: permits.calls.limit?.window ?? .zero)
        }
        guard !faulty.isEmpty else { return add(hosts, scope.lane) }
        let apart = hosts.filter { faulty.contains(ExactText($0)) }
        add(apart, .quarantined)
        if apart.count < hosts.count { add(hosts.filter { !faulty.contains(ExactText($0)) }, .behind) }
    }
}
