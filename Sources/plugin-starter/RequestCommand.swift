internal import Checking
internal import Core
internal import Kafka
internal import Reporting
internal import Settings
internal import Worker

/// `request`: publishes requests, and waits for their results if asked to.
nonisolated enum RequestCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let template = RequestTemplate(settings)
        let paths = settings.operands + [settings[SettingTable.file]].compactMap { $0 }
        guard paths.count <= 1 else { throw CommandFailure(64, "file: give --file or the argument FILE, not both") }
        guard let path = paths.first else {
            let request: OutgoingRequest
            do throws(RequestTemplate.Fault) { request = try template.request([], line: nil) } catch {
                throw CommandFailure(64, error.message)
            }
            let session = try RequestSession(settings, total: 1)
            guard try session.send([request]) else { return session.stopped() }
            return try session.finish()
        }
        let input = try RequestInput(path)
        let total = input.isFile ? try check(input, template) : nil
        let session = try RequestSession(settings, total: total)
        return try send(input, template, session)
    }

    /// Reads a file to its end before anything is sent. Returns the number of requests.
    private static func check(_ input: RequestInput, _ template: RequestTemplate) throws(CommandFailure) -> Int {
        let maximumShown = 20
        var (count, faults) = (0, 0)
        reading: while true {
            guard case .lines(let lines) = try input.next(milliseconds: 0) else { break reading }
            for line in lines {
                count += 1
                do throws(RequestTemplate.Fault) { _ = try template.request(line.bytes, number: line.number) } catch {
                    faults += 1
                    if faults <= maximumShown {
                        Console.error("plugin-starter: \(input.name), line \(line.number): \(error.message)".printable)
                    }
                }
            }
        }
        guard faults == 0 else {
            throw CommandFailure(64, "\(input.name): \(faults) of \(count) requests are wrong; none was sent")
        }
        guard count > 0 else { throw CommandFailure(64, "\(input.name) contains no request") }
        guard count == 1 || !template.hasKey else {
            throw CommandFailure(64, "idempotency-key: cannot be given for \(count) requests; none was sent")
        }
        input.rewind()
        return count
    }

    private static func send(
        _ input: RequestInput, _ template: RequestTemplate, _ session: RequestSession
    ) throws(CommandFailure) -> Int32 {
        while true {
            if session.isStopped() { return session.stopped() }
            switch try input.next(milliseconds: 100) {
            case .idle: try session.takeResults()
            case .end:
                guard session.sent > 0 else { throw CommandFailure(64, "\(input.name) contains no request") }
                return try session.finish()
            case .lines(let lines):
                var batch: [OutgoingRequest] = []
                for line in lines {
                    do throws(RequestTemplate.Fault) {
                        guard !template.hasKey || session.sent + batch.count == 0 else {
                            throw RequestTemplate.Fault(message: "idempotency-key is given for the request before it")
                        }
                        batch.append(try template.request(line.bytes, number: line.number))
                    } catch {
                        // The lines before are sent, as they would have been in a slower pipe.
                        guard try session.send(batch) else { return session.stopped() }
                        session.leave()
                        throw CommandFailure(
                            64,
                            "\(input.name), line \(line.number): \(error.message); requests sent before it: \(session.sent)"
                                .printable)
                    }
                }
                guard try session.send(batch) else { return session.stopped() }
            }
        }
    }
}
