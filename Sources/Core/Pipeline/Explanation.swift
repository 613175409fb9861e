/// What the worker knows about one open request, and what it will do next.
package struct Explanation: Equatable, Sendable {
    /// Where the request is on its way.
    package enum Stage: String, Sendable {
        /// Behind an earlier request with its idempotency key, whose outcome answers it too.
        case behindItsKey = "behind_its_key"
        /// Behind an earlier request with its Kafka key (`--ordering key`).
        case behindItsOrder = "behind_its_order"
        case waiting
        /// A read of its hosts' states comes before the next call.
        case reading
        case called
        /// Its result is being written.
        case publishing
    }

    /// The request's next call, if every call until then is accepted and nothing else arrives.
    package struct Forecast: Equatable, Sendable {
        package var at: Timestamp
        /// How many calls go before it.
        package var callsBefore: Int
        /// How many requests and hosts share it.
        package var requests: Int
        package var hosts: Int
    }

    package var position: Position
    package var stage: Stage
    package var attempts: Int
    package var failure: Failure?
    /// The call in flight that carries it.
    package var call: String?
    /// Why no call for it goes now, in words.
    package var reasons: [String]
    /// Nil where the request is in a call, has its outcome, or waits for something that no clock tells.
    package var forecast: Forecast?

    package var json: JSON {
        var members: [JSON.Member] = [
            .init("partition", .integer(Int64(position.partition))), .init("offset", .integer(position.offset)),
            .init("stage", .string(stage.rawValue)), .init("attempts", .integer(Int64(attempts))),
        ]
        if let failure {
            members.append(
                .init(
                    "last_failure",
                    .object([.init("code", .string(failure.code)), .init("title", .string(failure.title))])))
        }
        if let call { members.append(.init("call", .string(call))) }
        if !reasons.isEmpty { members.append(.init("waits_for", .array(reasons.map(JSON.string)))) }
        if let forecast {
            members.append(
                .init(
                    "next_call",
                    .object([
                        .init("at", .string(forecast.at.description)),
                        .init("calls_before", .integer(Int64(forecast.callsBefore))),
                        .init("requests", .integer(Int64(forecast.requests))),
                        .init("hosts", .integer(Int64(forecast.hosts))),
                    ])))
        }
        return .object(members)
    }
}

/// Explains requests. The forecast plays a copy of the pipeline forward, so it follows every rule of the original.
extension Pipeline {
    /// The most calls that a forecast looks ahead.
    private static let horizon = 1000

    /// The open requests with this idempotency key, in the order of their positions. O(open requests), and the forecast
    /// costs what the calls before the request cost, so this is not for the loop: take a copy of the pipeline elsewhere.
    package func explanations(ofKey key: String, now: Now) -> [Explanation] {
        let wanted = open.ids.filter { open[$0]?.request?.idempotencyKey == key }
        let forecasts = forecasts(Set(wanted), now)
        return wanted.compactMap { id in open[id].map { explanation(id, $0, forecasts[id], now) } }
            .sorted { $0.position < $1.position }
    }

    private func explanation(
        _ id: RequestID, _ entry: OpenRequest, _ forecast: Explanation.Forecast?, _ now: Now
    ) -> Explanation {
        let call = calls.first { $0.value.parts.contains { $0.request == id } }
        let stage: Explanation.Stage =
            switch entry.stage {
            case .waitingForKey: .behindItsKey
            case .waitingForOrder: .behindItsOrder
            case .publishing: .publishing
            case .calling: call != nil ? .called : coalescer.scopes(of: id).isEmpty ? .reading : .waiting
            }
        return Explanation(
            position: entry.position, stage: stage, attempts: entry.attempts, failure: entry.failure,
            call: call.map { callName($0.key) }, reasons: stage == .waiting ? reasons(id, entry, now) : [],
            forecast: forecast)
    }

    /// Why a waiting request is not called now.
    private func reasons(_ id: RequestID, _ entry: OpenRequest, _ now: Now) -> [String] {
        var reasons: [String] = []
        func until(_ time: Uptime) -> String { "until \(now.wall + (time - now.uptime))" }
        if !permits.isLeased(now.uptime) { reasons.append("lease: the group has not confirmed that this worker calls") }
        switch permits.gate.state {
        case .accepted: break
        case .unproven, .probing: reasons.append("gate: one call tests the credential first")
        case .closed(let time): reasons.append("gate: the credential was refused, next test \(until(time))")
        }
        let scopes = coalescer.scopes(of: id)
        for scope in scopes {
            if let time = permits.gate.pausedUntil(scope.subject()), time > now.uptime {
                reasons.append("gate: the credential is refused for its project, \(until(time))")
            }
            if let time = reads.hold(scope), time > now.uptime {
                reasons.append("read: the states of refused hosts are read first, \(until(time))")
            }
            if let time = coalescer.restsUntil(scope), time > now.uptime {
                reasons.append("retry: the last call failed, pause \(until(time))")
            }
            switch scope.lane {
            case .shared: break
            case .behind: reasons.append("quarantine: another of its hosts was faulty, so it goes one class lower")
            case .held: reasons.append("isolation: other hosts of the request are tried first")
            case .quarantined: reasons.append("quarantine: its host was faulty, so it is called apart and last")
            case .half: reasons.append("isolation: part of a refused call that is being taken apart")
            }
        }
        if let time = permits.breaker.deadline, time > now.uptime {
            reasons.append("breaker: HSS does not answer, next test \(until(time))")
        }
        if permits.breaker.state == .halfOpen { reasons.append("breaker: HSS does not answer, a test is under way") }
        switch permits.calls.nextFree(now) {
        case nil: reasons.append("quota: every slot holds a call that is not answered yet")
        case let time? where time > now.uptime: reasons.append("quota: no slot is free \(until(time))")
        default:
            if reasons.isEmpty { reasons.append("pacing: the call waits for company, or for its turn") }
        }
        if scopes.count > 1 { reasons.append("parts: its hosts are in \(scopes.count) lines") }
        return reasons
    }

    /// The next call of each of these requests.
    private func forecasts(_ wanted: Set<RequestID>, _ now: Now) -> [RequestID: Explanation.Forecast] {
        var found: [RequestID: Explanation.Forecast] = [:]
        guard !isDraining, wanted.contains(where: { open[$0]?.stage == .calling }) else { return [:] }
        var play = self
        var (time, count) = (now, 0)
        var accepted = Reply()
        accepted.httpStatus = 200
        var events = calls.keys.sorted().map { Event.answered($0, accepted) }
        while count < Self.horizon, found.count < wanted.count {
            // The lease is renewed while this worker lives.
            play.permits.lease(until: time.uptime + .seconds(3600))
            if events.isEmpty {
                guard let next = play.deadline(time) else { break }
                let wait = max(.milliseconds(1), next - time.uptime)
                time = Now(uptime: time.uptime + wait, wall: time.wall + wait)
                events.append(.tick)
            }
            for effect in play.handle(events.removeFirst(), now: time) {
                switch effect {
                case .call(let call):
                    let batch = play.calls[call.id]
                    for part in batch?.parts ?? [] where wanted.contains(part.request) && found[part.request] == nil {
                        found[part.request] = .init(
                            at: time.wall, callsBefore: count, requests: batch?.parts.count ?? 1,
                            hosts: call.hostIDs.count)
                    }
                    count += 1
                    events.append(.answered(call.id, accepted))
                case .query(let query):
                    // What a read would tell is not known, so the refused call is taken apart.
                    var unavailable = Reply()
                    unavailable.httpStatus = 503
                    events.append(.answered(query.id, unavailable))
                case .publish(let id, _, _): events.append(.published(id))
                default: break
                }
            }
        }
        return found
    }
}
