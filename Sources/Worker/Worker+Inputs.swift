internal import Checking
internal import Core
internal import HSS
internal import Kafka

/// What reaches the core: acknowledgements, answers, records and the group's events.
extension Worker {
    func takeAcknowledgements() {
        for outcome in publisher.poll(Clock.uptime) {
            switch outcome {
            case .acknowledged(let request):
                status.worked(.results)
                apply(.published(request))
            case .refused(let request, let error, let topic):
                if error.right != nil { status.report(error, .write, topic) }
                apply(.publishFailed(request, reason: error.description, isTooLarge: error.isTooLarge))
            case .failed(let error):
                status.report(error, .write, options.resultsTopic)
                if endsTheStart(error) { return }
            }
        }
    }

    func takeAnswers() {
        let now = Clock.now
        // The process may have been suspended between a decision to call and the call's first byte.
        if !pipeline.isLeased(now.uptime) { hss.cancelUnsent("the lease expired before the call was sent") }
        for (call, reply) in hss.turn(now: now) { apply(.answered(call, reply)) }
        if hss.credentialsChanged(now: now) {
            status.log(.info, "credential file changed: trying the new one")
            apply(.credentialChanged)
        }
    }

    func takeEvents() {
        defer { admitFetched() }
        for _ in 0..<Self.recordsPerTurn {
            guard takesEvents, let event = ownership.next() else { return }
            if case .record(let record) = event {
                fetched.append(record)
                fetchedBytes += record.size
                continue
            }
            admitFetched()
            switch event {
            case .record: break
            case .reachedEnd(let position):
                status.worked(.requests)
                apply(.reachedEnd(position))
            case .assigned(let partitions):
                status.worked(.group)
                apply(ownership.assigned(partitions, isRunning: shutdown.isRunning, now))
            case .revoked(let partitions, let isLost):
                // This worker cannot know whether the next owner has answered, and the next owner will answer.
                if isLost { publisher.drop(partitions) }
                apply(ownership.revoked(partitions, isLost: isLost, pipeline))
            case .connection(let isConnected): status.sawConnection(isConnected)
            case .failed(let error):
                status.report(error)
                if endsTheStart(error) { return }
                if error.isFatal { return end(because: error) }
            case .log(let line): status.pass(line)
            }
        }
    }

    private func admitFetched() {
        guard !fetched.isEmpty else { return }
        status.worked(.requests)
        for record in fetched { ownership.received(record.position) }
        apply(.received(fetched))
        fetched.removeAll(keepingCapacity: true)
        fetchedBytes = 0
    }
}
