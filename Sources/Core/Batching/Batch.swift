/// Names an open request within one process.
package typealias RequestID = UInt64

/// Why a host is called with these hosts and not with those.
enum Lane: Hashable, Sendable {
    /// With whatever waits for the same.
    case shared
    /// Sound hosts of a request that also names a quarantined one: a class lower.
    case behind
    /// Further hosts of a request that was refused: they wait until it is known whether all of it is.
    case held
    /// Hosts that were faulty a while ago: they can cost a call for nothing, so they stand in the lowest class.
    case quarantined
    /// A half of a call that was refused, or a half of that: the tree's root is 1, the halves of `n` are `2n` and `2n + 1`.
    case half(tree: Int, index: Int)

    /// Whether a call is likely to be refused, and so is behind all others.
    var isLast: Bool {
        switch self {
        case .shared, .behind: false
        case .held, .quarantined: true
        case .half(_, let index): index > 7
        }
    }
}

/// What a call acts on, besides its hosts: requests with one scope can share a call.
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

    /// Whether it is the same but for the lane.
    func isSame(as other: Scope) -> Bool {
        var other = other
        other.lane = lane
        return self == other
    }
}

/// What one call covers: hosts without repeats, and which of them each request waits for.
struct Batch {
    struct Part {
        var request: RequestID
        /// Empty for `operate_all`.
        var hosts: [String]
    }

    var scope: Scope
    var hosts: [String]
    var parts: [Part]
    var sentAt: Duration = .zero

    /// These hosts are covered for a request too, which has one part of the batch.
    mutating func add(_ hosts: [String], of request: RequestID) {
        if let index = parts.firstIndex(where: { $0.request == request }) {
            parts[index].hosts += hosts
        } else {
            parts.append(Part(request: request, hosts: hosts))
        }
    }
}

extension Batch {
    /// This batch with these of its hosts only, and the requests that wait for them.
    func only(_ chosen: some Sequence<String>) -> Batch {
        let chosen = Set(chosen.map(ExactText.init))
        return filtered { chosen.contains($0) }
    }

    func without(_ others: some Sequence<String>) -> Batch {
        let others = Set(others.map(ExactText.init))
        return filtered { !others.contains($0) }
    }

    /// Without requests, and without the hosts that only these wait for.
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
