package import Core

/// The sandbox's answers without network or clock. An answer depends on the hosts' names and on the list of hosts that
/// exist.
package struct FakeHSS {
    private let hosts: Set<String>?
    private var started: Set<[String]> = []

    /// `hosts`: the only hosts that exist; nil means that any host exists.
    package init(hosts: Set<String>?) { self.hosts = hosts }

    package mutating func answer(_ call: StartCall) -> Reply {
        var reply = Reply()
        reply.httpStatus = 200
        let named = call.operateAll ? (hosts ?? []).sorted() : call.hostIDs
        for host in named {
            guard let refusal = HostKind(host, known: hosts).refusal else { continue }
            // One bad host causes HSS to refuse the whole call without doing anything.
            reply.httpStatus = 400
            reply.errorCode = refusal.code
            reply.errorMessage = refusal.text
            return reply
        }
        for host in named { started.insert([call.projectID, call.pluginCode, host]) }
        return reply
    }

    package func answer(_ query: StatusQuery) -> Reply {
        var reply = Reply()
        reply.httpStatus = 200
        reply.hosts = query.hostIDs.compactMap { host in
            let isStarted = started.contains([query.projectID, query.pluginCode, host])
            return HostKind(host, known: hosts).states(started: isStarted ? "running" : nil).map {
                HostStatus(hostID: host, pluginStatus: $0.plugin, agentStatus: $0.agent)
            }
        }
        return reply
    }
}
