/// A refused call is taken apart: evidence first, one read of the hosts' states; what that leaves open is halved, down to
/// single hosts. For k guilty of n hosts that is at most 1 + 2·k·ceil(log2 n) calls without the read, and 2 with it where
/// it tells all the guilty.
struct Isolation {
    /// A read of ListPluginStatus that waits, or was sent.
    struct Read {
        enum Purpose: Equatable {
            /// Which of these hosts can be called at all? Asked after a refusal, or (nil) before a call that may be refused.
            case refused(Failure?)
            /// Which of these hosts were started by the call whose answer was lost? Then again, not before the time.
            case lost(Failure, notBefore: Duration, failures: Int)
        }

        var batch: Batch
        var purpose: Purpose
        /// Hosts not asked for yet, and the states told so far.
        var toAsk: ArraySlice<String>
        var states: [ExactText: HostStatus] = [:]
        /// The slot of the quota that it takes.
        var slot: Int?
        /// How often it failed in a way that can pass.
        var failures = 0
    }

    /// A host of a project.
    struct Suspect: Hashable {
        var project: ExactText
        var host: ExactText
    }

    var waiting = Queue<Read>()
    var sent: [CallID: Read] = [:]
    /// Reads after lost answers that failed themselves, and when they are tried again.
    var deferred: [(at: Duration, read: Read)] = []
    /// Batches that go as they are, before anything that waits in line.
    var batches = Queue<Batch>()
    /// Hosts found guilty, and until when they are called apart.
    var quarantine: [Suspect: Duration] = [:]

    /// Hosts asked for in one read, so that its URL stays well below what gateways take.
    static let hostsPerRead = 100
    /// Hosts that a read told nothing against, and until when that is believed.
    var seen: [Suspect: Duration] = [:]
    static let belief: Duration = .seconds(300)
    /// Scopes of which a call was refused for some host: until then their hosts are looked at before they are called.
    var suspected: [Scope: Duration] = [:]
    /// After so many failures of a read the hosts are called unseen, so that an API for reading that is away holds nothing up.
    static let maximumReads = 4
    private static let maximumQuarantined = 100_000
    private static let maximumSuspected = 10_000

    mutating func suspect(_ scope: Scope, until: Duration, now: Duration) {
        if suspected.count >= Self.maximumSuspected { suspected = suspected.filter { $0.value > now } }
        if suspected.count < Self.maximumSuspected { suspected[scope] = until }
    }

    mutating func isolate(_ host: String, of project: ExactText, until: Duration, now: Duration) {
        if quarantine.count >= Self.maximumQuarantined { quarantine = quarantine.filter { $0.value > now } }
        guard quarantine.count < Self.maximumQuarantined else { return }
        quarantine[Suspect(project: project, host: ExactText(host))] = until
    }

    mutating func see(_ hosts: [String], of scope: Scope, now: Duration) {
        if seen.count + hosts.count > Self.maximumQuarantined { seen = [:] }
        for host in hosts { seen[Suspect(project: scope.project, host: ExactText(host))] = now + Self.belief }
    }

    func isSeen(_ host: String, of scope: Scope, now: Duration) -> Bool {
        seen[Suspect(project: scope.project, host: ExactText(host))].map { $0 > now } ?? false
    }

    func isQuarantined(_ host: String, of project: ExactText, now: Duration) -> Bool {
        guard !quarantine.isEmpty else { return false }
        return quarantine[Suspect(project: project, host: ExactText(host))].map { $0 > now } ?? false
    }
}

extension Pipeline {
    /// Asks about a batch's hosts before anything else is done with it.
    mutating func ask(_ asked: Batch, _ purpose: Isolation.Read.Purpose, _ now: Now) {
        let batch = withoutGivenUp(asked)
        guard !batch.hosts.isEmpty else { return }
        for part in batch.parts where open[part.request]?.firstAttempt == nil {
            open[part.request]?.firstAttempt = now.uptime
        }
        let read = Isolation.Read(batch: batch, purpose: purpose, toAsk: batch.hosts[...])
        // A look ahead can wait, what a call has brought to light cannot.
        if purpose == .refused(nil) {
            isolation.waiting.append(read)
        } else {
            isolation.waiting.prepend(contentsOf: [read])
        }
    }

    /// What of a batch may be called now. Where calls of its scope were refused, its hosts are looked at first: a read costs
    /// less than another refused call, and covers more hosts than most calls. Requests that name a guilty host go apart.
    mutating func readyToCall(_ batch: Batch, _ now: Now) -> Batch? {
        guard !batch.hasEvidence, !batch.scope.operateAll else { return batch }
        var batch = batch
        if !batch.scope.isApart {
            while let without = apartFromGuilty(batch, now) {
                batch = coalescer.extend(without, to: configuration.hostsPerCall, now: now.uptime)
            }
            guard !batch.hosts.isEmpty else { return nil }
            guard isolation.suspected[batch.scope].map({ $0 > now.uptime }) ?? false else { return batch }
        }
        let seen = batch.hosts.filter { isolation.isSeen($0, of: batch.scope, now: now.uptime) }
        if seen.count == batch.hosts.count { return batch }
        if batch.scope.isApart && !seen.isEmpty {
            // Nobody waits for a host that is looked at again and again.
            lineUp(batch.without(seen))
            return batch.only(seen)
        }
        ask(coalescer.extend(batch, to: Isolation.hostsPerRead, now: now.uptime), .refused(nil), now)
        dispatchReads(now)
        return nil
    }

    /// Without the requests that name a host which was found guilty meanwhile; nil where there are none.
    private mutating func apartFromGuilty(_ batch: Batch, _ now: Now) -> Batch? {
        let guilty = batch.parts.filter { part in
            part.hosts.contains { isolation.isQuarantined($0, of: batch.scope.project, now: now.uptime) }
        }
        guard !guilty.isEmpty else { return nil }
        lineUpApart(guilty, batch.scope)
        var rest = batch
        rest.parts.removeAll { part in guilty.contains { $0.request == part.request } }
        return rest.only(rest.parts.flatMap(\.hosts))
    }

    private mutating func lineUpApart(_ parts: [Batch.Part], _ scope: Scope) {
        var apart = scope
        apart.isApart = true
        for part in parts {
            guard let entry = open[part.request], let request = entry.request, entry.stage == .calling else { continue }
            coalescer.move(
                part.request, to: apart, priority: request.priority, with: part.hosts, arrived: entry.admittedAt)
        }
    }

    /// Back to the front of the line, as it was.
    private mutating func lineUp(_ batch: Batch) {
        let parts = batch.parts.compactMap { part -> (part: Batch.Part, priority: Priority, arrived: Duration)? in
            guard let entry = open[part.request], let request = entry.request, entry.stage == .calling else {
                return nil
            }
            return (part, request.priority, entry.admittedAt)
        }
        if !parts.isEmpty { coalescer.putBack(parts, scope: batch.scope) }
    }

    /// Nothing is told against these hosts: they are called with whoever waits for the same, but for requests that name a
    /// guilty host too.
    private mutating func lineUpSeen(_ batch: Batch, guilty: Set<RequestID>, _ now: Now) {
        let rest = withoutGivenUp(batch)
        isolation.see(rest.hosts, of: rest.scope, now: now.uptime)
        var innocent = rest
        if !rest.scope.isApart {
            lineUpApart(rest.parts.filter { guilty.contains($0.request) }, rest.scope)
            innocent.parts.removeAll { guilty.contains($0.request) }
        }
        lineUp(innocent)
    }

    /// Sends the reads that may go now; they have a budget of their own.
    mutating func dispatchReads(_ now: Now) {
        guard !isDraining else { return }
        for (at, read) in isolation.deferred where at <= now.uptime { isolation.waiting.append(read) }
        isolation.deferred.removeAll { $0.at <= now.uptime }
        while var read = isolation.waiting.first, hasRoom(now.uptime), gate.allows(now: now.uptime),
            statusQuota.isFree(now)
        {
            isolation.waiting.popFirst()
            nextCall += 1
            gate.sent()
            read.slot = statusQuota.sent(now)
            let hosts = Array(read.toAsk.prefix(Isolation.hostsPerRead))
            read.toAsk = read.toAsk.dropFirst(hosts.count)
            isolation.sent[nextCall] = read
            let scope = read.batch.scope
            effects.append(
                .query(
                    StatusQuery(
                        id: nextCall, projectID: scope.project.text, enterpriseProjectID: scope.enterpriseProject?.text,
                        pluginCode: scope.plugin.text, hostIDs: hosts, offset: 0, limit: 200)))
        }
    }

    mutating func readAnswered(_ read: Isolation.Read, _ reply: Reply, _ now: Now) {
        var read = read
        if reply.mayHaveArrived { statusQuota.answered(read.slot, now) } else { statusQuota.unused(read.slot) }
        guard let failure = Failure(reply) else {
            if gate.accepted() { effects.append(.log(.gateOpened)) }
            for host in reply.hosts { read.states[ExactText(host.hostID)] = host }
            if read.toAsk.isEmpty {
                conclude(read, hasEvidence: true, now)
            } else {
                isolation.waiting.prepend(contentsOf: [read])
            }
            return
        }
        if failure.disposition != .stop { credentialWasNotRefused(reply) }
        switch failure.disposition {
        case .wait:
            statusQuota.throttled(now, retryAfter: reply.retryAfter, named: reply.rateLimit)
            again(read)
        case .stop:
            if gate.refused(now: now.uptime), let until = gate.deadline {
                effects.append(.log(.gateClosed(failure, serverDate: reply.serverDate, until: until)))
            }
            again(read)
        case .retry, .refuse:
            read.failures += 1
            if case .lost = read.purpose, failure.disposition == .retry, read.failures < Isolation.maximumReads {
                // What took the answer often takes the read after it as well.
                restart(&read)
                isolation.deferred.append((now.uptime + retry.pause(after: read.failures, using: &generator), read))
            } else {
                conclude(read, hasEvidence: false, now)
            }
        }
    }

    private mutating func again(_ read: Isolation.Read) {
        var read = read
        restart(&read)
        isolation.waiting.prepend(contentsOf: [read])
    }

    private func restart(_ read: inout Isolation.Read) {
        read.toAsk = read.batch.hosts[...]
        read.states = [:]
    }

    private mutating func conclude(_ read: Isolation.Read, hasEvidence: Bool, _ now: Now) {
        switch read.purpose {
        case .refused(let failure): concludeRefused(read, failure, hasEvidence, now)
        case .lost(let failure, let notBefore, let failures):
            let started = read.batch.hosts.filter {
                ["starting", "running"].contains(read.states[ExactText($0)]?.pluginStatus ?? "")
            }
            observed(read.batch.only(started), now)
            putBack(
                read.batch.without(started), failure, notBefore: max(notBefore, now.uptime), failures: failures, now)
        }
    }

    private mutating func concludeRefused(
        _ read: Isolation.Read, _ failure: Failure?, _ hasEvidence: Bool, _ now: Now
    ) {
        guard hasEvidence else {
            if failure == nil { lineUpSeen(read.batch, guilty: [], now) } else { halve(read.batch) }
            return
        }
        var guilty: [String: [String]] = [:]
        var started: [String] = []
        for host in read.batch.hosts {
            let state = read.states[ExactText(host)]
            if let code = Self.fault(state) {
                guilty[code, default: []].append(host)
            } else if failure != nil && ["starting", "running"].contains(state?.pluginStatus ?? "") {
                started.append(host)
            }
        }
        observed(read.batch.only(started), now)
        let named = Set(read.batch.only(guilty.values.flatMap { $0 }).parts.map(\.request))
        for (code, hosts) in guilty.sorted(by: { $0.key < $1.key }) {
            if let failure, failure.code == code {
                condemn(read.batch.only(hosts), failure, now)
                continue
            }
            var verdict = Failure(code: code, isRetryable: code == "HSS.1007", httpStatus: failure?.httpStatus)
            verdict.detail = "as ListPluginStatus tells"
            for part in read.batch.only(hosts).parts { open[part.request]?.isObserved = true }
            condemn(read.batch.only(hosts), verdict, now)
        }
        var rest = read.batch.without(started + guilty.values.flatMap { $0 })
        guard !rest.hosts.isEmpty else { return }
        if failure == nil {
            lineUpSeen(rest, guilty: named, now)
        } else if rest.hosts.count == read.batch.hosts.count {
            // The read told of nobody: calling the same hosts again would be refused again.
            halve(rest)
        } else {
            rest.hasEvidence = true
            isolation.batches.append(rest)
        }
    }

    /// What keeps a host from being called, in the vendor's code; nil where nothing is seen to.
    private static func fault(_ state: HostStatus?) -> String? {
        guard let state else { return "HSS.0011" }
        if state.agentStatus == "not_installed" || state.agentStatus == "install_failed" { return "HSS.1001" }
        if state.agentStatus == "offline" || state.pluginStatus == "offline" { return "HSS.1007" }
        if ["not_installed", "install_fail"].contains(state.pluginStatus) { return "HSS.0001" }
        return nil
    }

    /// A call was refused, and one host alone may be the cause.
    mutating func takeApart(_ batch: Batch, _ failure: Failure, _ now: Now) {
        if batch.hosts.count == 1 {
            condemn(batch, failure, now)
            return
        }
        isolation.suspect(batch.scope, until: now.uptime + configuration.quarantine, now: now.uptime)
        if batch.hasEvidence { halve(withoutGivenUp(batch)) } else { ask(batch, .refused(failure), now) }
    }

    private mutating func halve(_ batch: Batch) {
        var halves = [batch.only(Array(batch.hosts.prefix(batch.hosts.count / 2)))]
        halves.append(batch.without(halves[0].hosts))
        for var half in halves where !half.hosts.isEmpty {
            half.hasEvidence = true
            isolation.batches.append(half)
        }
    }

    /// These hosts are the cause: apart from now on, and with their outcome where it is final.
    private mutating func condemn(_ batch: Batch, _ failure: Failure, _ now: Now) {
        for host in batch.hosts {
            isolation.isolate(
                host, of: batch.scope.project, until: now.uptime + configuration.quarantine, now: now.uptime)
        }
        if failure.disposition == .refuse {
            for part in batch.parts { settle(part, failure: failure, now) }
            return
        }
        var apart = batch
        apart.scope.isApart = true
        let failures = coalescer.failures(apart.scope) + 1
        let pause = retry.pause(after: failures, using: &generator)
        putBack(apart, failure, notBefore: now.uptime + pause, failures: failures, now)
    }

    /// The read shows these hosts as started.
    private mutating func observed(_ batch: Batch, _ now: Now) {
        for part in batch.parts {
            open[part.request]?.isObserved = true
            settle(part, failure: nil, now)
        }
    }
}

extension Batch {
    /// This batch with these of its hosts only, and the requests that wait for them.
    func only(_ chosen: [String]) -> Batch {
        let chosen = Set(chosen.map(ExactText.init))
        var batch = self
        batch.hosts = hosts.filter { chosen.contains(ExactText($0)) }
        batch.parts = parts.compactMap { part in
            let hosts = part.hosts.filter { chosen.contains(ExactText($0)) }
            return hosts.isEmpty ? nil : Part(request: part.request, hosts: hosts)
        }
        return batch
    }

    func without(_ others: [String]) -> Batch {
        let others = Set(others.map(ExactText.init))
        return only(hosts.filter { !others.contains(ExactText($0)) })
    }
}
