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
        /// Halves by index, with their number of hosts, where the refusal may have been for the size.
        var planned: [Int: Int] = [:]
        var accepted: Set<Int> = []
    }

    /// Faulty hosts, and until when they are called separately.
    private var quarantine: [HostKey: Uptime] = [:]
    private var trees: [Int: Tree] = [:]
    private var lastTree = 0

    private static let maximumQuarantined = 100_000
    private static let maximumTrees = 1000
    /// A call of fewer hosts is not refused for its size.
    private static let smallestLimit = 10

    // MARK: Quarantine

    mutating func quarantine(_ hosts: [String], of project: ExactText, until: Uptime, now: Uptime) {
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

    func isQuarantined(_ host: String, of project: ExactText, now: Uptime) -> Bool {
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

    /// A half of a call that was refused with this failure. A failure that passes says nothing about the size.
    mutating func plan(tree: Int, index: Int, hosts: Int, _ failure: Failure) {
        if failure.disposition == .refuse { trees[tree]?.planned[index] = hosts }
    }

    /// Records an accepted half. Where the other half was accepted too, and both were called with all their hosts, the
    /// size of both together was the cause of their refusal. Returns the number of hosts that was accepted then; nil
    /// otherwise.
    mutating func accepted(tree: Int, index: Int, hosts: Int) -> Int? {
        guard let planned = trees[tree]?.planned[index], planned == hosts else { return nil }
        trees[tree]?.accepted.insert(index)
        guard trees[tree]?.accepted.contains(index ^ 1) ?? false, let other = trees[tree]?.planned[index ^ 1] else {
            return nil
        }
        return max(other, hosts) < Self.smallestLimit ? nil : max(other, hosts)
    }

    /// Records a refused half. True where all quarters of a request have been refused with the same code,
    /// so that the cause is not a host.
    mutating func refused(tree: Int, index: Int, _ failure: Failure) -> Bool {
        guard trees[tree]?.owner != nil, trees[tree]?.code == failure.code else { return false }
        if (4...7).contains(index) { trees[tree]?.refusedQuarters.insert(index) }
        return trees[tree]?.refusedQuarters.count == 4
    }
}
