/// Finds the faulty hosts after a call was refused because of some of its hosts. Stores which hosts are quarantined and
/// which calls are being bisected.
///
/// 1. One read (ListPluginStatus) fetches the states of the call's hosts and of hosts that are next in line. Hosts of
///    the call that the read shows as faulty have their outcome, because a call that named them was refused. The
///    other hosts go back in line.
/// 2. The call is bisected where the read shows no faulty host, or where no read is possible. Halves wait in line as
///    other calls do. From the third level on they come after all others.
/// 3. A single host that is refused has its outcome. A whole request has its outcome where all four of its quarters are
///    refused with the same code. Where finding the faulty hosts would take more than `callsForOne` calls, all hosts of
///    the refused half have their outcome.
/// 4. Faulty hosts are quarantined. For a while they are called separately, after all others.
struct Isolation {
    private struct HostKey: Hashable {
        var project: ExactText
        var host: ExactText
    }

    /// A refused call that is being bisected.
    private struct Tree {
        var code: String
        /// The only request in the tree; nil where there are several.
        var owner: RequestID?
        /// Quarters that were refused with `code`.
        var refusedQuarters: Set<Int> = []
    }

    /// Faulty hosts, and until when they are called separately.
    private var quarantine: [HostKey: Duration] = [:]
    private var trees: [Int: Tree] = [:]
    private var lastTree = 0

    private static let maximumQuarantined = 100_000
    private static let maximumTrees = 1000

    // MARK: Quarantine

    mutating func quarantine(_ hosts: [String], of project: ExactText, until: Duration, now: Duration) {
        if quarantine.count + hosts.count > Self.maximumQuarantined {
            quarantine = quarantine.filter { $0.value > now }
        }
        guard quarantine.count + hosts.count <= Self.maximumQuarantined else { return }
        for host in hosts { quarantine[HostKey(project: project, host: ExactText(host))] = until }
    }

    /// A call for these hosts was accepted.
    mutating func mended(_ hosts: [String], of project: ExactText) {
        for host in hosts { quarantine[HostKey(project: project, host: ExactText(host))] = nil }
    }

    func isQuarantined(_ host: String, of project: ExactText, now: Duration) -> Bool {
        guard !quarantine.isEmpty else { return false }
        return quarantine[HostKey(project: project, host: ExactText(host))].map { $0 > now } ?? false
    }

    // MARK: Halves

    /// The maximum number of calls to find the faulty hosts of one request, where it shares no call with others. One
    /// faulty host takes `1 + 2 * ceil(log2 hosts)`.
    static func callsForOne(hosts: Int) -> Int {
        var depth = 0
        while 1 << depth < hosts { depth += 1 }
        return 2 * depth + 4
    }

    /// Starts a tree for a refused call. The oldest tree beyond `maximumTrees` is forgotten,
    /// and its halves go on without it.
    mutating func grow(_ batch: Batch, _ failure: Failure) -> Int {
        lastTree += 1
        trees[lastTree - Self.maximumTrees] = nil
        trees[lastTree] = Tree(code: failure.code, owner: batch.parts.count == 1 ? batch.parts.first?.request : nil)
        return lastTree
    }

    /// Whether this request is the only one in the tree.
    func isOwner(_ request: RequestID?, of tree: Int) -> Bool { request != nil && trees[tree]?.owner == request }

    /// Records a refused half. True where all quarters of a request have been refused with the same code,
    /// so that the cause is not a host.
    mutating func refused(tree: Int, index: Int, _ failure: Failure) -> Bool {
        guard trees[tree]?.owner != nil, trees[tree]?.code == failure.code else { return false }
        if (4...7).contains(index) { trees[tree]?.refusedQuarters.insert(index) }
        return trees[tree]?.refusedQuarters.count == 4
    }
}

extension Pipeline {
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
                part.request, scope: target, priority: request.priority, hosts: hosts, arrived: entry.admittedAt)
        }
    }

    func quarantineEnds(_ now: Now) -> Duration { now.uptime + configuration.quarantine }

    mutating func quarantine(_ hosts: [String], of scope: Scope, _ now: Now) {
        isolation.quarantine(hosts, of: scope.project, until: quarantineEnds(now), now: now.uptime)
    }

    /// Puts a batch back at the front of the line, each request in its class.
    mutating func requeue(_ batch: Batch) {
        let parts = batch.parts.compactMap { part -> (part: Batch.Part, priority: Priority, arrived: Duration)? in
            guard let entry = open[part.request], let request = entry.request, entry.stage == .calling else {
                return nil
            }
            return (part, request.priority, entry.admittedAt)
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
        if tree == 0 || (batch.parts.count == 1 && !isolation.isOwner(batch.parts.first?.request, of: tree)) {
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
            requeue(half)
        }
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
        for part in batch.parts.dropLast()
        where halves[0].parts.isEmpty || count + part.hosts.count <= batch.hosts.count / 2 {
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
            coalescer.add(id, scope: scope, priority: request.priority, hosts: hosts, arrived: entry.admittedAt)
        }
        guard !faulty.isEmpty else { return add(hosts, scope.lane) }
        let apart = hosts.filter { faulty.contains(ExactText($0)) }
        add(apart, .quarantined)
        if apart.count < hosts.count { add(hosts.filter { !faulty.contains(ExactText($0)) }, .behind) }
    }
}
