/// Identifies an open request within one process.
package typealias RequestID = UInt64

/// Why a host is called together with some hosts and not with others.
enum Lane: Hashable, Sendable {
    /// Shares calls with all requests for the same scope.
    case shared
    /// Healthy hosts of a request that also names a quarantined host. They are one class lower.
    case behind
    /// Further hosts of a refused request. They wait until it is known whether the whole request is refused.
    case held
    /// Hosts that were faulty recently. A call for them may be wasted, so they are in the lowest class.
    case quarantined
    /// A half of a refused call, or a half of such a half. The tree's root is 1; the
    /// halves of `n` are `2n` and `2n + 1`.
    case half(tree: Int, index: Int)

    /// Whether a call is likely to be refused, and therefore comes after all others.
    var isLast: Bool {
        switch self {
        case .shared, .behind: false
        case .held, .quarantined: true
        case .half(_, let index): index > 7
        }
    }
}

/// What a call acts on, besides its hosts. Requests with the same scope can share a call.
package struct Scope: Hashable, Sendable {
    var project: ExactText
    var enterpriseProject: ExactText?
    var plugin: ExactText
    var operateAll: Bool
    var lane = Lane.shared

    init(_ request: StartRequest) {
        project = ExactText(request.projectID)
        enterpriseProject = request.enterpriseProjectID.map(ExactText.init)
        plugin = ExactText(request.pluginCode)
        operateAll = request.operateAll
    }

    /// The same in the lane of all requests.
    var shared: Scope {
        var scope = self
        scope.lane = .shared
        return scope
    }
}

/// What one call covers: its hosts, without repeats, and the hosts that each request waits for.
struct Batch {
    struct Part {
        var request: RequestID
        /// Empty for `operate_all`.
        var hosts: [String]
    }

    var scope: Scope
    var hosts: [String]
    var parts: [Part]
    /// Whether no other requests may join it.
    var isCriticalOnly = false
    var sentAt: Uptime = .zero

    /// Records that the batch covers these hosts for a request. Each request has only one part.
    mutating func add(_ hosts: [String], of request: RequestID) {
        if let index = parts.firstIndex(where: { $0.request == request }) {
            parts[index].hosts += hosts
        } else {
            parts.append(Part(request: request, hosts: hosts))
        }
    }
}

extension Batch {
    /// This batch with only the chosen hosts, and the requests that wait for them.
    func only(_ chosen: some Sequence<String>) -> Batch {
        let chosen = Set(chosen.map(ExactText.init))
        return filtered { chosen.contains($0) }
    }

    func without(_ others: some Sequence<String>) -> Batch {
        let others = Set(others.map(ExactText.init))
        return filtered { !others.contains($0) }
    }

    /// This batch without some requests, and without the hosts that only those requests wait for.
    func without(_ isGone: (RequestID) -> Bool) -> Batch {
        guard parts.contains(where: { isGone($0.request) }) else { return self }
        var batch = self
        batch.parts.removeAll { isGone($0.request) }
        return batch.only(batch.parts.flatMap(\.hosts))
    }

    private func filtered(_ isKept: (ExactText) -> Bool) -> Batch {
        var batch = self
        batch.hosts = hosts.filter { isKept(ExactText($0)) }
        batch.parts = parts.compactMap { part in
            let hosts = part.hosts.filter { isKept(ExactText($0)) }
            return hosts.isEmpty ? nil : Part(request: part.request, hosts: hosts)
        }
        return batch
    }
}
