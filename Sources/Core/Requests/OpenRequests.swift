/// A request between admission and the acknowledged result.
struct OpenRequest {
    enum Stage: Equatable {
        /// Behind the earlier request that owns its idempotency key.
        case waitingForKey
        /// Behind an earlier request with its Kafka key.
        case waitingForOrder
        /// In the coalescer, in a call, or partly in both.
        case calling
        case publishing(StartResult)
    }

    var position: Position
    var identity: Fingerprint
    var timestamp: Timestamp?
    var recordKey: [UInt8]?
    var size: Int
    var admittedAt: Duration
    /// Nil for a record that is no valid request.
    var request: StartRequest?
    var stage: Stage = .calling
    /// Hosts (or the one `operate_all`) with neither success nor final failure.
    var unsettled = 0
    var succeeded = 0
    /// Hosts that succeeded while others had no outcome yet.
    var started: [String] = []
    /// Parts of it that are in a call now.
    var inFlight = 0
    /// Whether hosts of it were seen as started after an answer was lost.
    var isObserved = false
    var attempts = 0
    /// Halves of refused calls of which it was the only request.
    var halves = 0
    /// When it first failed in a way that can pass, with nothing of it started since. The retry budget runs from here.
    var failingSince: Duration?
    var failedHosts: [StartResult.FailedHost] = []
    var failure: Failure?
    var call: StartResult.CallSummary?
    /// Later requests with the same idempotency key, in order: they get this request's outcome.
    var waitingDuplicates: [RequestID] = []

    var partition: Int32 { position.partition }
    var scopedKey: Fingerprint? { request?.scopedKey }
    var isPublishing: Bool { if case .publishing = stage { true } else { false } }
}

/// All open requests, and which of them owns each idempotency key. A request leaves in one of two ways, which share one
/// teardown: its result is acknowledged (`complete`), or it is given up without a result (`abandon`).
struct OpenRequests {
    /// What was done for an abandoned request: its retry budget does not begin anew when its record comes back.
    private struct SavedAttempts {
        var identity: Fingerprint
        var attempts: Int
        var failingSince: Duration?
        var failure: Failure?
        var call: StartResult.CallSummary?
    }

    /// A request by partition and key.
    private struct Key: Hashable {
        var partition: Int32
        var key: Fingerprint
    }

    private static let maximumSaved = 10_000

    private var entries: [RequestID: OpenRequest] = [:]
    private var lastID: RequestID = 0
    private var byPartition: [Int32: Set<RequestID>] = [:]
    private var keyOwners: [Key: RequestID] = [:]
    private var saved: [Position: SavedAttempts] = [:]
    /// Bytes of the open requests' records.
    private(set) var bytes = 0

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }
    var ids: some Sequence<RequestID> { entries.keys }
    /// Nil once the request has left.
    subscript(_ id: RequestID) -> OpenRequest? { entries[id] }
    func ids(of partition: Int32) -> Set<RequestID> { byPartition[partition] ?? [] }

    /// Takes a request in. One that was abandoned before goes on with its attempts.
    mutating func insert(_ request: OpenRequest) -> RequestID {
        var request = request
        if let saved = saved.removeValue(forKey: request.position), saved.identity == request.identity {
            (request.attempts, request.failingSince) = (saved.attempts, saved.failingSince)
            (request.failure, request.call) = (saved.failure, saved.call)
        }
        lastID += 1
        entries[lastID] = request
        byPartition[request.partition, default: []].insert(lastID)
        bytes += request.size
        return lastID
    }

    /// Changes an open request. The hosts of one that has left may still be in a call: nothing of it is to be changed then.
    mutating func update(_ id: RequestID, _ change: (inout OpenRequest) -> Void) {
        guard let index = entries.index(forKey: id) else { return }
        change(&entries.values[index])
    }

    /// The request whose outcome decides what becomes of others with this key.
    func owner(of key: Fingerprint, in partition: Int32) -> RequestID? {
        keyOwners[Key(partition: partition, key: key)]
    }

    func ownsKey(_ id: RequestID) -> Bool {
        guard let request = entries[id], let key = request.scopedKey else { return false }
        return owner(of: key, in: request.partition) == id
    }

    /// Makes the request the owner of its key.
    mutating func occupyKey(_ id: RequestID) {
        guard let request = entries[id], let key = request.scopedKey else { return }
        keyOwners[Key(partition: request.partition, key: key)] = id
    }

    /// The request's result is acknowledged.
    mutating func complete(_ id: RequestID) -> (request: OpenRequest, result: StartResult, ownedKey: Bool)? {
        guard let entry = entries[id], case .publishing(let result) = entry.stage else { return nil }
        let ownedKey = ownsKey(id)
        remove(id, entry)
        return (entry, result, ownedKey)
    }

    /// The request is given up here without a result.
    mutating func abandon(_ id: RequestID) -> OpenRequest? {
        guard let entry = entries[id] else { return nil }
        if entry.attempts > 0 || entry.failingSince != nil {
            if saved.count >= Self.maximumSaved { saved = [:] }
            saved[entry.position] = SavedAttempts(
                identity: entry.identity, attempts: entry.attempts, failingSince: entry.failingSince,
                failure: entry.failure, call: entry.call)
        }
        remove(id, entry)
        return entry
    }

    /// Forgets what was done for abandoned requests.
    mutating func forgetAttempts() { saved = [:] }

    private mutating func remove(_ id: RequestID, _ entry: OpenRequest) {
        if ownsKey(id), let key = entry.scopedKey { keyOwners[Key(partition: entry.partition, key: key)] = nil }
        entries[id] = nil
        bytes -= entry.size
        byPartition[entry.partition]?.remove(id)
        if byPartition[entry.partition]?.isEmpty ?? false { byPartition[entry.partition] = nil }
    }
}
