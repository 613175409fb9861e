import Core

/// Two topics, committed offsets and a consumer group. Each change checks their invariants.
struct SimulatedKafka {
    struct Result {
        var result: StartResult
        /// The entry as a worker reads it from the record's header.
        var entry: LedgerEntry?
        var isFromZombie: Bool
    }

    let writer = ResultWriter(requestsTopic: "requests")
    /// The records by partition. A record's index is its offset.
    var requests: [[Record]]
    /// The first offset that still exists, by partition.
    var first: [Int64]
    private var results: [[Result]]
    /// Records that were lost without a result.
    var gone: [Record] = []
    /// How often each existing record was answered.
    var answered: [[Int64: Int]]
    /// The first outcome of each key.
    private var outcomes: [Fingerprint: StartResult] = [:]
    /// What redriven records send again, by the records' identities.
    private var redriven: [Fingerprint: Redrive] = [:]
    private let dedupeWindow: Duration
    var committed: [Int32: (offset: Int64, metadata: String)] = [:]
    var group: Group
    /// Second results of one record, from members that were cut off and did not know it.
    private(set) var repeats = 0

    init(partitions: Int, isCooperative: Bool, isExclusive: Bool, dedupeWindow: Duration) {
        self.dedupeWindow = dedupeWindow
        requests = Array(repeating: [], count: partitions)
        first = Array(repeating: 0, count: partitions)
        results = Array(repeating: [], count: partitions)
        answered = Array(repeating: [:], count: partitions)
        group = Group(partitions: partitions, isCooperative: isCooperative, isExclusive: isExclusive)
    }

    mutating func produce(
        _ json: String, key: String, to partition: Int32, at time: Timestamp, headers: [Header] = []
    ) {
        let offset = Int64(requests[Int(partition)].count)
        let record = Record(
            position: Position(partition: partition, offset: offset), timestamp: time, key: Array(key.utf8),
            value: Array(json.utf8), headers: headers)
        requests[Int(partition)].append(record)
        if let redrive = Redrive(record, topic: writer.requestsTopic) {
            redriven[record.identity(topic: writer.requestsTopic)] = redrive
        }
    }

    /// The `ce_id` of a failed result of this partition, whether or not it is still the latest outcome of its key, and
    /// its key.
    func failedResult(_ partition: Int32, _ number: Int) -> (id: String, key: String)? {
        let failed = results[Int(partition)].map(\.result).filter(\.status.canBeRedriven)
        guard !failed.isEmpty, let key = failed[number % failed.count].fields.idempotencyKey else { return nil }
        let result = failed[number % failed.count]
        return (writer.id(result.position, result.status), key)
    }

    func request(_ partition: Int32, _ offset: Int64) -> Record? {
        (first[Int(partition)]..<end(partition)).contains(offset) ? requests[Int(partition)][Int(offset)] : nil
    }

    /// Appends a result. Returns the rule that it breaks, or nil.
    mutating func append(_ result: StartResult, isFromZombie: Bool) -> String? {
        let position = result.position
        let partition = Int(position.partition)
        let before = results[partition].filter { $0.result.record == result.record }
        let record = Record(
            position: position, timestamp: nil, key: nil, value: [], headers: [writer.ledgerHeader(result)])
        results[partition].append(
            Result(result: result, entry: LedgerEntry(record), isFromZombie: isFromZombie))
        if requests[partition].indices.contains(Int(position.offset)),
            requests[partition][Int(position.offset)].identity(topic: writer.requestsTopic) == result.record
        {
            answered[partition][position.offset, default: 0] += 1
        }
        if !before.isEmpty {
            repeats += 1
            if !isFromZombie && !before.contains(where: \.isFromZombie) { return "\(position) is answered twice" }
            return nil
        }
        if let original = result.original {
            let isThere = results[partition].contains {
                $0.result.position.offset == original.offset && $0.result.status == original.status
            }
            if !isThere { return "\(position) points to \(original.offset), which has no result \(original.status)" }
        }
        let redrives = redrive(of: result)?.offset
        if let original = result.original, original.offset == redrives, original.status.canBeRedriven,
            result.status == .duplicate
        {
            return "\(position) sends \(original.offset) again, and is called a duplicate of it"
        }
        guard let key = result.scopedKey, [.succeeded, .partiallySucceeded, .failed].contains(result.status) else {
            return nil
        }
        // One second less than the window, because clocks differ.
        if let first = outcomes[key], result.completedAt - first.completedAt < dedupeWindow - .seconds(1),
            first.failure?.isRetryable != true, !isFromZombie, !results[partition].contains(where: \.isFromZombie),
            redrives != first.position.offset || !first.status.canBeRedriven || first.fingerprint != result.fingerprint
        {
            return "the key of \(position) already has an outcome, from \(first.position)"
        }
        outcomes[key] = result
        return nil
    }

    /// What the result's request sends again, also where its record was deleted since.
    private func redrive(of result: StartResult) -> Redrive? { result.record.flatMap { redriven[$0] } }

    mutating func commit(_ partition: Int32, _ offset: Int64, _ metadata: String) -> String? {
        committed[partition] = (offset, metadata)
        guard offset <= max(end(partition), first[Int(partition)]) else {
            return "offset \(offset) of partition \(partition) is committed, but is past the end"
        }
        for open in min(first[Int(partition)], offset)..<offset where answered[Int(partition)][open] == nil {
            return "offset \(offset) of partition \(partition) is committed, but \(open) has no result"
        }
        return nil
    }

    /// What a new owner reads before it starts work.
    func restore(_ partition: Int32, now: Timestamp) -> Ledger {
        let low = start(partition)
        let start = committed[partition].map { $0.offset <= end(partition) ? min($0.offset, low) : low } ?? low
        var ledger = Ledger(topic: writer.requestsTopic, records: start..<max(start, end(partition)), start: low)
        // Reads what `TakeoverLookup` reads: all results if an open request is older than the window.
        let since = now + (.zero - dedupeWindow)
        let isOld = { (record: Record) in record.timestamp.map { $0 < since } ?? true }
        let wantsAll =
            (committed[partition]?.offset ?? 0) > end(partition)
            || requests[Int(partition)].dropFirst(Int(low)).contains(where: isOld)
        for result in results[Int(partition)] where wantsAll || result.result.completedAt >= since {
            if let entry = result.entry { ledger.restore(entry, now: now) }
        }
        return ledger
    }

    /// What a new caller knows about the caller before it.
    func previousOwner(_ ledgers: [Int32: Ledger]) -> PreviousOwner {
        PreviousOwner(
            metadata: committed[0]?.metadata,
            ledgers.map { partition, ledger in
                .init(
                    committed: committed[partition]?.offset, requests: first[Int(partition)]..<end(partition),
                    hasResults: !results[Int(partition)].isEmpty, ledger: ledger)
            })
    }

    /// Each topic gets one more partition.
    mutating func addPartition() {
        requests.append([])
        first.append(0)
        results.append([])
        answered.append([:])
        group.partitions += 1
        group.plan()
    }

    var hasResults: Bool { results.contains { !$0.isEmpty } }

    var open: [String] { unanswered.map { "\($0.position)" } }

    var unanswered: [Record] {
        requests.indices.flatMap { partition in
            requests[partition].dropFirst(Int(first[partition])).filter {
                answered[partition][$0.position.offset] == nil
            }
        }
    }

    /// Whether each record is answered and each offset committed.
    var isDone: Bool {
        requests.indices.allSatisfy { partition in
            requests[partition].indices.dropFirst(Int(first[partition])).allSatisfy {
                answered[partition][Int64($0)] != nil
            } && (requests[partition].isEmpty || committed[Int32(partition)]?.offset == end(Int32(partition)))
        }
    }

    /// A consumer group with either protocol.
    struct Group {
        var partitions: Int
        private let isCooperative: Bool
        /// One member has all partitions. It is the first member by rank.
        private let isExclusive: Bool
        private var ranks: [Int: Int] = [:]
        private var members: [Int] = []
        private var target: [Int32: Int] = [:]
        var owner: [Int32: Int] = [:]
        private var revoking: Set<Int32> = []
        private var mustRevoke = false

        init(partitions: Int, isCooperative: Bool, isExclusive: Bool) {
            self.partitions = partitions
            self.isCooperative = isCooperative
            self.isExclusive = isExclusive
        }

        func isMember(_ member: Int) -> Bool { members.contains(member) }

        /// `rank`: the member with the lowest rank has the lease. A member keeps its rank.
        mutating func join(_ member: Int, rank: Int) {
            ranks[member] = ranks[member] ?? rank
            members.append(member)
            plan()
        }

        /// A member announces that it leaves, and still owns its partitions.
        mutating func retire(_ member: Int) {
            members.removeAll { $0 == member }
            plan()
        }

        /// A member leaves, with or without a shutdown. Its partitions are free.
        mutating func leave(_ member: Int) {
            members.removeAll { $0 == member }
            for (partition, owned) in owner where owned == member { owner[partition] = nil }
            plan()
        }

        mutating func plan() {
            target = [:]
            mustRevoke = true
            guard !members.isEmpty else { return }
            for partition in 0..<partitions {
                target[Int32(partition)] =
                    isExclusive
                    ? members.min { (ranks[$0] ?? 0, $0) < (ranks[$1] ?? 0, $1) }
                    : members[partition * members.count / partitions]
            }
        }

        /// The partitions to revoke by member, each partition once.
        mutating func toRevoke() -> [(Int, [Int32])] {
            guard mustRevoke else { return [] }
            mustRevoke = false
            revoking.formIntersection(owner.keys)
            var found: [Int: [Int32]] = [:]
            for (partition, member) in owner.sorted(by: { $0.key < $1.key }) where !revoking.contains(partition) {
                if isCooperative && target[partition] == member { continue }
                revoking.insert(partition)
                found[member, default: []].append(partition)
            }
            return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }

        /// The partitions that can be assigned now. The eager protocol assigns only when no member still has a
        /// partition to revoke.
        mutating func toAssign() -> [(Int32, Int)] {
            revoking.formIntersection(owner.keys)
            if !isCooperative && !revoking.isEmpty { return [] }
            if isExclusive && owner.contains(where: { target[$0.key] != $0.value }) { return [] }
            var found: [(Int32, Int)] = []
            for (partition, member) in target.sorted(by: { $0.key < $1.key }) where owner[partition] == nil {
                owner[partition] = member
                found.append((partition, member))
            }
            return found
        }
    }
}
