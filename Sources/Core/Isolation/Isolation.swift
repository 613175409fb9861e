/// A call was refused because of some of its hosts. What is known of hosts, and of calls that are being halved.
///
/// 1. One read of the hosts' states (ListPluginStatus), which also looks at those that are next in line. Hosts of the call
///    that it shows to be faulty have their outcome: a call that named them was refused. The others go back in line.
/// 2. Where the read blames no host, or there is none to be had, the call is halved. Halves stand in line as other calls
///    do; from the third level on they stand behind all others.
/// 3. A single host that is refused has its outcome. Where all four quarters of one request are refused alike, so has the
///    whole request; and where finding out would take more than `callsForOne` calls.
/// 4. Faulty hosts are quarantined: for a while they are called apart, behind all others.
struct Isolation {
    private struct HostKey: Hashable {
        var project: ExactText
        var host: ExactText
    }

    /// A refused call that is being halved.
    private struct Tree {
        var code: String
        /// The only request in it; nil where there are several.
        var owner: RequestID?
        /// Quarters that were refused with that code.
        var refusedQuarters: Set<Int> = []
    }

    /// Faulty hosts, and until when they are called apart.
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

    /// The hosts were called with success.
    mutating func mended(_ hosts: [String], of project: ExactText) {
        for host in hosts { quarantine[HostKey(project: project, host: ExactText(host))] = nil }
    }

    func isQuarantined(_ host: String, of project: ExactText, now: Duration) -> Bool {
        guard !quarantine.isEmpty else { return false }
        return quarantine[HostKey(project: project, host: ExactText(host))].map { $0 > now } ?? false
    }

    // MARK: Halves

    /// Calls that are made at most to find the faulty of one request's hosts, where it shares none of them: one faulty host
    /// takes `1 + 2 * ceil(log2 hosts)`.
    static func callsForOne(hosts: Int) -> Int {
        var depth = 0
        while 1 << depth < hosts { depth += 1 }
        return 2 * depth + 4
    }

    /// A new tree for a call that was refused. The oldest one is forgotten: its halves are called one by one.
    mutating func grow(_ batch: Batch, _ failure: Failure) -> Int {
        lastTree += 1
        trees[lastTree - Self.maximumTrees] = nil
        trees[lastTree] = Tree(code: failure.code, owner: batch.parts.count == 1 ? batch.parts.first?.request : nil)
        return lastTree
    }

    /// Whether nothing but this request is in the tree.
    func isOwner(_ request: RequestID?, of tree: Int) -> Bool { request != nil && trees[tree]?.owner == request }

    /// A half was refused. True where all quarters of a request have been, alike: the cause is not a host.
    mutating func refused(tree: Int, index: Int, _ failure: Failure) -> Bool {
        guard trees[tree]?.owner != nil, trees[tree]?.code == failure.code else { return false }
        if (4...7).contains(index) { trees[tree]?.refusedQuarters.insert(index) }
        return trees[tree]?.refusedQuarters.count == 4
    }
}

extension Pipeline {
    /// A call was refused, and some of its hosts may be the cause.
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

    /// These hosts are the cause: quarantined from now on, and with their outcome where it is final.
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
        // Not before a while: such a call is likely to be refused again.
        let pause = retry.pause(after: failures + 4, using: &generator)
        putBack(apart, failure, notBefore: now.uptime + pause, failures: failures, now)
    }

    /// Moves what else a batch's requests wait for from one lane to another.
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

    /// Back in line: at the front, each in its class.
    mutating func requeue(_ batch: Batch) {
        let parts = batch.parts.compactMap { part -> (part: Batch.Part, priority: Priority, arrived: Duration)? in
            guard let entry = open[part.request], let request = entry.request, entry.stage == .calling else {
                return nil
            }
            return (part, request.priority, entry.admittedAt)
        }
        if !parts.isEmpty { coalescer.putBack(parts, scope: batch.scope) }
    }

    /// The hosts of a refused call in two calls.
    mutating func bisect(_ refused: Batch, _ failure: Failure, _ now: Now) {
        let batch = withoutGivenUp(refused)
        guard !batch.hosts.isEmpty else { return }
        var (tree, index) = (0, 1)
        if case .half(let grown, let at) = batch.scope.lane { (tree, index) = (grown, at) }
        // Once a request is alone, a tree of its own says whether it is refused as a whole.
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

    /// Between requests where there are several, so that each is alone soon.
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

    /// What waits of the request is refused too, without a call: all quarters of a call for it alone were.
    private mutating func endWhole(_ part: Batch.Part, _ failure: Failure, _ now: Now) {
        var hosts = part.hosts
        for scope in coalescer.scopes(of: part.request) {
            hosts += coalescer.take(part.request, in: scope) ?? []
        }
        settle(Batch.Part(request: part.request, hosts: hosts), failure: failure, now)
    }

    /// Moves what names a quarantined host out of a batch: the host apart, the request's other hosts behind. Nil where
    /// there is none.
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

    /// Puts a request in line: hosts that are faulty apart, and the others then behind.
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
