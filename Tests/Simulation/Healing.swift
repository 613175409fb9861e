import Core

extension World {
    /// Windows beyond those that the calls need. Refusals are remembered for five windows, and a takeover costs one and
    /// a half.
    private static let fairness = 7

    /// Repairs everything except what is refused for good. Then each record has to be answered, and each offset
    /// committed.
    func heal() {
        isHealed = true
        hss.fault = settings.lasting ?? .none
        for index in members.indices where members[index].isCut { mend(index) }
        for index in members.indices where members[index].isFrozen { thaw(index) }
        deliver()
        startOneIfNoneIsLeft()
        serveTheSound()
        hss.fault = .none
        for _ in 0..<8000 where violation == nil {
            if kafka.isDone { return }
            goOn()
        }
        if violation == nil {
            broken(
                "a record is not answered, or its offset not committed: \(kafka.open); \(members.indices.map(describe))"
            )
        }
    }

    /// Requests that are not refused get an answer in time, however calls are paced. The limit is what the quota requires
    /// for all waiting requests, and a few windows.
    private func serveTheSound() {
        let window = settings.quota?.window ?? .seconds(60)
        let calls = (kafka.unanswered + kafka.gone).reduce(0) { $0 + callsAtMost(for: $1) }
        // Without a quota, a 429 has set a quota of 5 calls.
        let limit = settings.quota?.calls ?? 5
        let needed = (calls + limit - 1) / limit
        let bound = time + window * (needed + Self.fairness)
        while violation == nil, let sound = kafka.unanswered.first(where: { !isRefused($0) }) {
            guard time <= bound else {
                return broken(
                    "\(sound.position) waits longer than \(needed + Self.fairness) windows")
            }
            goOn()
        }
        if settings.lasting != nil { met["others were refused for good", default: 0] += 1 }
    }

    private func callsAtMost(for record: Record) -> Int {
        let text = String(decoding: record.value ?? [], as: UTF8.self)
        if text.contains("\"bad") || settings.lasting == .blamesHostsOfOnePlugin && isRefused(record) { return 8 }
        let hosts = text.ranges(of: "\"h").count
        return (hosts + settings.hostsPerCall - 1) / settings.hostsPerCall
    }

    private func isRefused(_ record: Record) -> Bool {
        guard settings.lasting != nil else { return false }
        let text = String(decoding: record.value ?? [], as: UTF8.self)
        return text.contains(settings.lasting == .refusesOneProject ? "\"p0\"" : "\"av\"")
    }

    private func startOneIfNoneIsLeft() {
        if !members.contains(where: { $0.isAlive && !$0.isDraining }) { start() }
    }

    /// Does everything that is due, up to the next event.
    private func goOn() {
        for index in members.indices where members[index].isAlive && !members[index].isFrozen {
            fetch(index, 20)
            append(index, 100)
            acknowledge(index, 100)
            commit(index)
            deliver()
        }
        startOneIfNoneIsLeft()
        let next = members.compactMap { $0.isAlive ? $0.wakesAt(time) : nil } + events.prefix(1).map(\.at)
        advance(max(.seconds(1), min(.seconds(60), (next.min() ?? time) - time)))
    }

    private func describe(_ index: Int) -> String {
        let member = members[index]
        guard member.isAlive else { return "\(index) gone" }
        return "\(index)\(member.isDraining ? " draining" : "")\(member.isClosing ? " closing" : "")"
            + "\(member.isExpelled ? " expelled" : "") has \(member.owned.keys.sorted()), \(member.pipeline.openCount) open, "
            + "\(member.inFlight.count) in flight, \(member.pending.count) unacknowledged"
    }
}
