/// A request between admission and the acknowledged result.
struct OpenRequest {
    enum Stage: Equatable {
        /// Waits for the earlier request that owns its idempotency key.
        case waitingForKey
        /// Waits for an earlier request with its Kafka key.
        case waitingForOrder
        /// In the coalescer, in a call, or partly in both.
        case calling
        indirect case publishing(StartResult)
    }

    var position: Position
    var identity: Fingerprint
    var timestamp: Timestamp?
    var recordKey: [UInt8]?
    /// The whole record, where it may become a dead letter.
    var record: Record?
    var size: Int
    var admittedAt: Uptime
    /// When it expires, as far as the clock can be trusted.
    var expiresBy: Uptime?
    /// Nil for a record that is not a valid request.
    var request: StartRequest?
    /// Set where the record sends an earlier request again.
    var redrive: Redrive?
    var stage: Stage = .calling
    /// The number of hosts (or 1 for `operate_all`) with neither success nor final failure.
    var unsettled = 0
    var succeeded = 0
    /// Hosts that succeeded while others had no outcome yet.
    var started: [String] = []
    /// How many of its parts are in a call now.
    var inFlight = 0
    /// Whether a read showed hosts of the request as started after an answer was lost.
    var isObserved = false
    var attempts = 0
    /// Whether the policy's limits have counted it.
    var isCounted = false
    /// How many halves of refused calls contained only this request.
    var halves = 0
    /// When the request first had a retryable failure, with no host started since. The retry budget runs from here.
    var failingSince: Uptime?
    var failedHosts: [StartResult.FailedHost] = []
    var failure: Failure?
    var call: StartResult.CallSummary?
    /// Later requests with the same idempotency key, in order. They wait for the outcome of this request.
    var waitingDuplicates: [RequestID] = []

    var partition: Int32 { position.partition }
    var scopedKey: Fingerprint? { request?.scopedKey }
    var isPublishing: Bool { if case .publishing = stage { true } else { false } }
}

/// All open requests, and the owner of each idempotency key. A request leaves in one of two ways: its result is
/// acknowledged (`complete`), or it is abandoned without a result (`abandon`). Both share one teardown.
struct OpenRequests {
    /// The attempts for an abandoned request, so that its retry budget does not start again when its record comes back.
    private struct SavedAttempts {
        var identity: Fingerprint
        var attempts: Int
        var isCounted: Bool
        var failingSince: Uptime?
        var failure: Failure?
        var call: StartResult.CallSummary?
    }

    /// An idempotency key within one partition.
    private struct Key: Hashable {
        var partition: Int32
        var key: Fingerprint
    }

    private static let maximumSaved = 10_000

    /// The requests, each at the place that `places` names, so that a request is changed where it lies.
    private var entries: [OpenRequest?] = []
    private var free: [Int] = []
    private var places: [RequestID: Int] = [:]
    private var lastID: RequestID = 0
    private var byPartition: [Int32: Set<RequestID>] = [:]
    private var keyOwners: [Key: RequestID] = [:]
    private var saved: [Position: SavedAttempts] = [:]
    /// Bytes of the open requests' records.
    private(set) var bytes = 0

    var count: Int { places.count }
    var isEmpty: Bool { places.isEmpty }
    var ids: some Sequence<RequestID> { places.keys }
    /// Nil once the request has left.
    subscript(_ id: RequestID) -> OpenRequest? {
        _read {
            if let place = places[id] { yield entries[place] } else { yield nil }
        }
    }
    func ids(of partition: Int32) -> Set<RequestID> { byPartition[partition] ?? [] }

    /// Adds a request. A request that was abandoned before continues with its saved attempts.
    mutating func insert(_ request: OpenRequest) -> RequestID {
        var request = request
        if let saved = saved.removeValue(forKey: request.position), saved.identity == request.identity {
            (request.attempts, request.failingSince) = (saved.attempts, saved.failingSince)
            (request.failure, request.call) = (saved.failure, saved.call)
            request.isCounted = saved.isCounted
        }
        lastID += 1
        if let place = free.popLast() {
            entries[place] = request
            places[lastID] = place
        } else {
            places[lastID] = entries.count
            entries.append(request)
        }
        byPartition[request.partition, default: []].insert(lastID)
        bytes += request.size
        return lastID
    }

    /// Changes an open request. Nothing changes where the request has left, although its hosts may still be in a call.
    mutating func update(_ id: RequestID, _ change: (inout OpenRequest) -> Void) {
        guard let place = places[id] else { return }
        entries[place]?.apply(change)
    }

    /// The request whose outcome decides the outcome of the other requests with this key.
    func owner(of key: Fingerprint, in partition: Int32) -> RequestID? {
        keyOwners[Key(partition: partition, key: key)]
    }

    func ownsKey(_ id: RequestID) -> Bool {
        guard let request = self[id], let key = request.scopedKey else { return false }
        return owner(of: key, in: request.partition) == id
    }

    /// Makes the request the owner of its key.
    mutating func occupyKey(_ id: RequestID) {
        guard let request = self[id], let key = request.scopedKey else { return }
        keyOwners[Key(partition: request.partition, key: key)] = id
    }

    /// The request's result is acknowledged.
    mutating func complete(_ id: RequestID) -> (request: OpenRequest, result: StartResult, ownedKey: Bool)? {
        guard let entry = self[id], case .publishing(let result) = entry.stage else { return nil }
        return (entry, result, remove(id, entry))
    }

    /// Removes the request here without a result.
    mutating func abandon(_ id: RequestID) -> OpenRequest? {
        guard let entry = self[id] else { return nil }
        if entry.attempts > 0 || entry.failingSince != nil || entry.isCounted {
            if saved.count >= Self.maximumSaved { saved = [:] }
            saved[entry.position] = SavedAttempts(
                identity: entry.identity, attempts: entry.attempts, isCounted: entry.isCounted,
                failingSince: entry.failingSince, failure: entry.failure, call: entry.call)
        }
        _ = remove(id, entry)
        return entry
    }

    /// Forgets the attempts for abandoned requests.
    mutating func forgetAttempts() { saved = [:] }

    /// Returns whether the request owned its key.
    private mutating func remove(_ id: RequestID, _ entry: OpenRequest) -> Bool {
        let key = entry.scopedKey.map { Key(partition: entry.partition, key: $0) }
        let ownedKey = key.map { keyOwners[$0] == id } ?? false
        if ownedKey, let key { keyOwners[key] = nil }
        if let place = places.removeValue(forKey: id) {
            entries[place] = nil
            free.append(place)
        }
        bytes -= entry.size
        byPartition[entry.partition]?.remove(id)
        if byPartition[entry.partition]?.isEmpty ?? false { byPartition[entry.partition] = nil }
        return ownedKey
    }
}

extension OpenRequest {
    fileprivate mutating func apply(_ change: (inout OpenRequest) -> Void) { change(&self) }
}
