internal import Checking
internal import Core
internal import HSS
internal import Kafka

/// The start and the end of a worker.
extension Worker {
    /// Returns false if a signal came before the cluster answered.
    func isFitToStart() throws(WorkerFailure) -> Bool {
        let preflight = Preflight(
            kafka: options.kafka, requestsTopic: options.requestsTopic, resultsTopic: options.resultsTopic,
            deadLetterTopic: options.deadLetterTopic,
            dedupeWindow: options.pipeline.dedupeWindow)
        var number: Int32?
        let partitions = try preflight.check(
            warn: { status.log(.warning, "topic check found a problem", [(.detail, .string($0))]) },
            isStopped: {
                number = number ?? nextSignal()
                status.showStarting()
                return number != nil
            })
        status.checked(partitions: partitions ?? 0)
        return partitions != nil
    }

    // MARK: Shutdown

    /// The next signal that ends the worker. SIGHUP does not end it.
    private func nextSignal() -> Int32? {
        while let number = signals.next() {
            guard Signals.isHangUp(number) else { return number }
            guard policyWatcher != nil else {
                status.log(
                    .info, "SIGHUP ignored: credential files are reloaded automatically, other settings need a restart")
                continue
            }
            rereadsPolicy = true
            status.log(.info, "SIGHUP: reading the policy file again; other settings need a restart")
        }
        return nil
    }

    func takeSignals() {
        while let number = nextSignal() {
            guard shutdown.isRunning else {
                status.log(.warning, "second signal: exiting at once", [(.signal, .integer(Int64(number)))])
                status.finish()
                ProcessControl.exitAtOnce(128 + number)
            }
            status.log(
                .info, "stopping: finishing calls in flight",
                [(.signal, .integer(Int64(number))), (.count, .integer(Int64(pipeline.openCount)))])
            shutdown.drain(until: Clock.uptime + options.shutdownTimeout)
            apply(.drain)
            apply(ownership.endRestore(isRunning: false, now))
        }
    }

    func advanceShutdown() {
        let now = Clock.uptime
        switch shutdown.poll(now, hasLeftGroup: ownership.hasLeftGroup()) {
        case .nothing: break
        case .drainTimedOut:
            status.log(
                .warning, "shutdown timeout reached: open requests are left to the next owner",
                [(.count, .integer(Int64(pipeline.openCount)))])
            apply(.revoked(pipeline.assignedPartitions, isLost: true, deadline: now))
            // A result that is still being written could reach its topic after the next owner has read the topic. So
            // the session lapses first. By then the result is written, or it never will be.
            guard publisher.isIdle else { return shutdown.closed() }
            shutdown.close(by: now + .seconds(2))
            ownership.beginClose()
        case .closeTimedOut:
            status.log(.warning, "could not leave the consumer group in time: the session will expire")
        }
    }

    /// Ends the worker with an error that names the missing right, if the right was missing before any work. Returns
    /// true if the worker ends.
    func endsTheStart(_ error: KafkaError) -> Bool {
        guard !ownership.hasBeenAssigned, shutdown.isRunning, error.right != .topic,
            let right = error.right(.read, topic: nil, group: options.group, options.kafka)
        else { return false }
        shutdown.closed()
        failure = right.failure
        return true
    }

    /// Ends the worker because the consumer is permanently unusable, for example because another member has its
    /// `group.instance.id`. Open requests are left to the next owner.
    func end(because error: KafkaError) {
        apply(.revoked(pipeline.assignedPartitions, isLost: true, deadline: Clock.uptime))
        shutdown.closed()
        failure = WorkerFailure(error, servers: options.kafka.bootstrapServers)
    }
}
