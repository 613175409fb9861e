import Core

/// HSS as far as quota and refusals matter. It records what was started and what was counted, and injects faults.
struct SimulatedHSS {
    enum Fault: CaseIterable {
        case none, sometimesDown, lost, throttled, refusesTheCredential, down, refusesOneProject, refusesReads
        /// Refuses each call of one plugin, either with a code that blames the call or with a code that blames hosts.
        case refusesOnePlugin, blamesHostsOfOnePlugin
    }

    let quota: RateLimit?
    var fault = Fault.none
    private var counted: [String: [Uptime]] = [:]
    private(set) var calls = 0
    private var started: Set<String> = []

    init(quota: RateLimit?) { self.quota = quota }

    mutating func take(_ sent: World.Sent, at time: Uptime, using generator: inout SplitMix64) -> (
        reply: Reply, violation: String?
    ) {
        var reply = Reply()
        let chance = Int.random(in: 0..<3, using: &generator)
        if fault == .throttled && chance == 0 {
            (reply.httpStatus, reply.errorCode) = (429, "APIGW.0308")
            return (reply, nil)
        }
        let api = if case .start = sent { "StartPlugin" } else { "ListPluginStatus" }
        var violation: String?
        if let quota {
            let recent = (counted[api] ?? []).filter { time - $0 < quota.window }
            if recent.count >= quota.calls { violation = "\(api) is called more than \(quota.calls) times in a window" }
            counted[api] = recent + [time]
        }
        switch (fault, chance) {
        case (.down, _), (.sometimesDown, 0): reply.httpStatus = 503
        case (.refusesTheCredential, 0): (reply.httpStatus, reply.errorCode) = (401, "APIGW.0301")
        case (.refusesOneProject, _) where sent.project == "p0", (.refusesReads, _) where api == "ListPluginStatus":
            (reply.httpStatus, reply.errorCode) = (401, "APIGW.0301")
        case (.refusesOnePlugin, _) where sent.plugin == "av" && api == "StartPlugin":
            (reply.httpStatus, reply.errorCode) = (400, "HSS.0013")
        case (.blamesHostsOfOnePlugin, _) where sent.plugin == "av" && api == "StartPlugin":
            (reply.httpStatus, reply.errorCode) = (400, "HSS.0001")
        default:
            reply = answer(sent)
            // Reads follow calls whose answer was lost.
            if fault == .lost || fault == .refusesReads, chance == 0 {
                reply = Reply()
                reply.transport = .lost("cut")
            }
        }
        return (reply, violation)
    }

    private mutating func answer(_ sent: World.Sent) -> Reply {
        var reply = Reply()
        reply.httpStatus = 200
        switch sent {
        case .start(let call):
            calls += 1
            if call.hostIDs.contains(where: { $0.hasPrefix("bad") }) {
                (reply.httpStatus, reply.errorCode) = (400, "HSS.1001")
            } else {
                started.formUnion(call.hostIDs)
            }
        case .status(let query):
            reply.hosts = query.hostIDs.map { host in
                let isBad = host.hasPrefix("bad")
                return HostStatus(
                    hostID: host,
                    pluginStatus: isBad ? "not_installed" : started.contains(host) ? "running" : "stopped",
                    agentStatus: isBad ? "not_installed" : "online")
            }
        }
        return reply
    }
}
