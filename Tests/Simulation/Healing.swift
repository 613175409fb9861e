import Core

extension World {
    /// Windows beyond those that the calls need: refusals are remembered for five, and a takeover costs one and a half.
    private static let fairness = 7

    /// Everything is mended, but for what is refused for good; then each record has to be answered, and each offset committed.
    func heal() {
        isHealed = true
        hss.fault = settings.lasting ?? .none
        for index in members.indices where members[index].isCut { mend(index) }
        for index in members.indices where members[index].isFrozen { thaw(index) }
        deliver()
        startOneIfNoneIsLeft()
        if settings.lasting != nil { serveTheSound() }
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

    /// Whoever is not refused has an answer in time: what the quota demands of all who wait, and a few windows.
    private func serveTheSound() {
        let window = settings.quota?.window ?? .seconds(60)
        let calls = (kafka.unanswered + kafka.gone).reduce(0) { $0 + callsAtMost(for: $1) }
        // Without a quota a 429 has set one of 5 calls.
        let limit = settings.quota?.calls ?? 5
        let needed = (calls + limit - 1) / limit
        let bound = time + window * (needed + Self.fairness)
        while violation == nil, let sound = kafka.unanswered.first(where: { !isRefused($0) }) {
            guard time <= bound else {
                return broken(
                    "\(sound.position) waits longer than \(needed + Self.fairness) windows while others are refused")
            }
            goOn()
        }
        met["others were refused for good", default: 0] += 1
    }

    private func callsAtMost(for record: Record) -> Int {
        let text = String(decoding: record.value ?? [], as: UTF8.self)
        if text.contains("\"bad") || settings.lasting == .blamesHostsOfOnePlugin && isRefused(record) { return 8 }
        let hosts = text.ranges(of: "\"h").count
        return (hosts + settings.hostsPerCall - 1) / settings.hostsPerCall
    }

    private func isRefused(_ record: Record) -> Bool {
        let text = String(decoding: record.value ?? [], as: UTF8.self)
        return text.contains(settings.lasting == .refusesOneProject ? "\"p0\"" : "\"av\"")
    }

    private func startOneIfNoneIsLeft() {
        if !members.contains(where: { $0.isAlive && !$0.isDraining }) { start() }
    }

    /// All that is due is done, up to the next event.
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
