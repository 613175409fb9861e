internal import Core
internal import Glibc
internal import HTTP
internal import Kafka
internal import Settings
internal import Worker

/// `demo`: runs broker, sandbox and worker in processes of their own under a mixed load. Prints a table that has to add
/// up.
nonisolated enum DemoCommand {
    private static let topics = (requests: "plugin.start.requests", results: "plugin.start.results", partitions: 6)
    private static let patience: Duration = .seconds(120)

    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let signals = Signals()
        let directory = "/tmp/plugin-starter-demo-\(getpid())"
        guard unsafe mkdir(directory, 0o700) == 0 else { throw CommandFailure(70, "\(directory) cannot be created") }
        let log = "\(directory)/worker.log"

        let (broker, bootstrap) = try start(
            "broker",
            ["--topic", "\(topics.requests):\(topics.partitions)", "--topic", "\(topics.results):\(topics.partitions)"])
        let quota = settings.value(SettingTable.quota)
        let quotaText = quota.limit.map { "\($0.calls)/\($0.window.unitText)" } ?? "off"
        let seed = settings.value(SettingTable.seed)
        let (sandbox, url) = try start(
            "sandbox", ["--listen", "127.0.0.1:0", "--quota", quotaText, "--seed", "\(seed)", "--fault", "503:count=1"])
        let worker = try startWorker(settings, bootstrap: bootstrap, url: url, quota: quotaText, log: log)
        Console.error("broker \(bootstrap), sandbox \(url) (quota \(quotaText)), worker's log \(log)")

        let requests = DemoRequests(
            count: settings.value(SettingTable.requests), seed: UInt64(seed), now: Clock.wall)
        let kafka = ClientConfiguration(bootstrapServers: bootstrap)
        let began = Clock.uptime
        let positions = try publish(requests, kafka)
        var tally = Tally(expected: requests.expected, positions: positions)
        let isStopped = try collect(&tally, kafka, signals, worker)
        let took = Clock.uptime - began
        let code = worker.stop()
        let journal = try fetch("\(url)/_sandbox/journal")
        _ = sandbox.stop()
        _ = broker.stop()
        if isStopped { return 130 }
        tally.calls = Calls(journal: journal)
        Console.print(tally.table(took: took, quota: quota.limit), terminator: "")
        guard tally.addsUp, code == 0 else {
            throw CommandFailure(
                1, code == 0 ? "the table does not add up; see \(log)" : "the worker failed; see \(log)")
        }
        return 0
    }

    private static func start(_ command: String, _ arguments: [String]) throws(CommandFailure) -> (Child, String) {
        guard let child = Child([command] + arguments, environment: [:], errorFile: nil),
            let line = child.firstLine(milliseconds: 10_000)
        else { throw CommandFailure(70, "\(command) did not start") }
        return (child, line)
    }

    private static func startWorker(
        _ settings: Settings, bootstrap: String, url: String, quota: String, log: String
    ) throws(CommandFailure) -> Child {
        let arguments = [
            "run", "--bootstrap-servers", bootstrap, "--endpoint", url, "--quota", quota, "--hosts-per-call",
            "\(settings.value(SettingTable.hostsPerCall))", "--pacing", "\(settings.value(SettingTable.pacing))",
            "--admin-listen", "off", "--log-level",
            settings.value(SettingTable.logLevel), "--kafka-property", "fetch.wait.max.ms=10",
        ]
        let credentials = ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"]
        guard let child = Child(arguments, environment: credentials, errorFile: log) else {
            throw CommandFailure(70, "the worker did not start")
        }
        return child
    }

    /// Publishes all requests and waits until the broker has them. Returns the position of each.
    private static func publish(
        _ requests: DemoRequests, _ kafka: ClientConfiguration
    ) throws(CommandFailure) -> [Position: Status] {
        var positions: [Position: Status] = [:]
        do throws(KafkaError) {
            let producer = try Producer(kafka, topic: topics.requests)
            for (index, entry) in requests.entries.enumerated() {
                let outcome = producer.produce(
                    id: UInt64(index), partition: nil, key: Array(entry.key.utf8), value: entry.value, headers: [])
                if case .refused(let error) = outcome { throw error }
            }
            let deadline = Clock.uptime + .seconds(30)
            var events: [ProducerEvent] = []
            while positions.count < requests.entries.count && Clock.uptime < deadline {
                events.removeAll()
                _ = producer.next(into: &events, milliseconds: 100)
                for case .acknowledged(let id, let position) in events {
                    positions[position] = requests.entries[Int(id)].expected
                }
            }
            guard positions.count == requests.entries.count else { throw KafkaError.timedOut }
        } catch {
            throw Topics.failure(error, kafka)
        }
        return positions
    }

    /// Reads results until each request has one. Returns true if a signal came first.
    private static func collect(
        _ tally: inout Tally, _ kafka: ClientConfiguration, _ signals: borrowing Signals, _ worker: Child
    ) throws(CommandFailure) -> Bool {
        do throws(KafkaError) {
            let reader = try PartitionReader(kafka, topic: topics.results, defaults: [("fetch.wait.max.ms", "10")])
            try reader.read((0..<Int32(topics.partitions)).map { ($0, .beginning) })
            let deadline = Clock.uptime + patience
            var progress = Progress(total: tally.positions.count)
            while !tally.isComplete && Clock.uptime < deadline && !worker.hasEnded {
                if signals.next() != nil { return true }
                if case .record(let record) = reader.next(milliseconds: 50) { tally.take(record) }
                progress.show(tally.resultCount)
            }
            progress.finish(tally.resultCount)
            return false
        } catch {
            throw Topics.failure(error, kafka)
        }
    }

    /// Sends a GET to the sandbox's own API and waits for the answer.
    private static func fetch(_ url: String) throws(CommandFailure) -> [UInt8] {
        do throws(HTTPError) {
            let client = try HTTPClient(HTTPClient.Configuration(maximumResponseBytes: 256 << 20))
            client.send(HTTPRequest(method: "GET", url: url), id: 1)
            while true {
                if let completion = client.turn(now: Clock.uptime).first {
                    guard completion.status == 200 else { throw HTTPError("\(url) answered \(completion.status)") }
                    return completion.body
                }
                var watched = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
                unsafe _ = poll(&watched, 1, 10)
            }
        } catch {
            throw CommandFailure(70, error.description)
        }
    }
}
