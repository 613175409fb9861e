import Foundation
import Testing

@testable import Core
@testable import Kafka

/// A sandbox, and workers on one pair of topics of a broker. Tests publish and read with kcat, which shares no
/// code with the workers.
final class WorkerHarness {
    let broker: Broker
    let topics: Topics
    let sandbox: Executable
    let url: String
    private let partitions: Int
    static let credentials = ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"]

    init(_ name: String, sandbox arguments: [String] = ["--quota", "off"], partitions: Int = 12) throws {
        self.partitions = partitions
        (broker, topics) = try Broker.forTest(name, partitions: partitions)
        sandbox = try Executable.starter(["sandbox", "--listen", "127.0.0.1:0"] + arguments)
        url = try sandbox.firstLine()
    }

    /// A bench with its own requests topic and group, on the same results topic.
    init(beside other: WorkerHarness) throws {
        (broker, sandbox, url, partitions) = (other.broker, other.sandbox, other.url, other.partitions)
        var topics = try broker.topics("beside", requests: partitions, results: partitions)
        topics.results = other.topics.results
        self.topics = topics
    }

    /// `alone`: the quota is off and a call has one host, so that each request is called at once.
    func worker(
        _ arguments: [String] = [], environment: [String: String] = [:], ready: Bool = true, alone: Bool = true
    ) throws -> Executable {
        let worker = try Executable.starter(
            self.arguments(arguments, alone: alone), environment: Self.credentials.merging(environment) { $1 })
        if ready { try worker.says(" ready") }
        return worker
    }

    /// The command line of a worker. The last value given for a setting counts.
    func arguments(_ more: [String], alone: Bool = true) -> [String] {
        [
            "run", "--bootstrap-servers", broker.bootstrap, "--requests-topic", topics.requests, "--results-topic",
            topics.results, "--group", topics.group, "--endpoint", url, "--admin-listen", "off",
        ] + (alone ? ["--quota", "off", "--hosts-per-call", "1"] : []) + more
    }

    struct Request {
        var key: String
        var value: String

        /// A request for one host, which is named after the key.
        static func plain(_ key: String, host: String? = nil) -> Request {
            Request(
                key: key,
                value:
                    #"{"idempotency_key":"\#(key)","project_id":"p","plugin_code":"ndr","host_id_list":["\#(host ?? key)"]}"#
            )
        }
    }

    /// Publishes with kcat, one record per line: key, tab, value.
    func publish(_ requests: [Request], more: [String] = []) throws {
        let directory = try Executable.scratch("input")
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appendingPathComponent("lines")
        let lines = requests.map { "\($0.key)\t\($0.value)\n" }.joined()
        try Data(lines.utf8).write(to: file)
        try run(
            "kcat", ["-P", "-b", broker.bootstrap, "-t", topics.requests, "-K", "\t", "-l", file.path] + more,
            seconds: 120)
    }

    /// Publishes one record with exactly these bytes as its value.
    func publish(bytes: Data, headers: [String] = [], key: String? = nil) throws {
        let directory = try Executable.scratch("input")
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appendingPathComponent("value")
        try bytes.write(to: file)
        try run(
            "kcat",
            ["-P", "-b", broker.bootstrap, "-t", topics.requests] + (key.map { ["-k", $0] } ?? [])
                + headers.flatMap { ["-H", $0] } + [file.path])
    }

    struct Result {
        var position: String
        var id: String
        var json: JSON
        var status: String { json["status"]?.string ?? "" }
        var key: String { json["idempotency_key"]?.string ?? "" }
    }

    /// Everything on the results topic, read by kcat.
    func results() throws -> [Result] {
        let text = try run(
            "kcat", ["-C", "-b", broker.bootstrap, "-t", topics.results, "-e", "-q", "-J", "-o", "beginning"],
            seconds: 120)
        return try text.split(separator: "\n").map { line in
            let record = try JSON(parsing: Array(line.utf8))
            let headers = record["headers"]?.array ?? []
            var named: [String: String] = [:]
            for index in stride(from: 0, to: headers.count - 1, by: 2) {
                named[headers[index].string ?? ""] = headers[index + 1].string ?? ""
            }
            let json = try JSON(parsing: Array((record["payload"]?.string ?? "").utf8))
            let request = json["request"]
            return Result(
                position: "\(request?["partition"]?.integer ?? -1)/\(request?["offset"]?.integer ?? -1)",
                id: named["ce_id"] ?? "", json: json)
        }
    }

    /// The number of records in a topic, from its end offsets.
    func count(_ topic: String) throws -> Int {
        let arguments = (0..<partitions).flatMap { ["-t", "\(topic):\($0):-1"] }
        var lines = ""
        // A new topic's partitions have no leader for a moment.
        try eventually("the topic's ends are told", seconds: 10) {
            lines = (try? run("kcat", ["-Q", "-b", broker.bootstrap] + arguments)) ?? ""
            return !lines.isEmpty
        }
        return lines.split(separator: "\n").reduce(0) { sum, line in
            sum + (Int(line.split(separator: " ").last ?? "") ?? 0)
        }
    }

    func waitForResults(_ number: Int, seconds: Double = 120, _ worker: Executable? = nil) throws {
        try eventually(
            "\(number) results", seconds: seconds, otherwise: { worker?.errors ?? "" }
        ) {
            // A broker that has just restarted answers, but does not lead its partitions yet.
            (try? count(topics.results)).map { $0 >= number } ?? false
        }
    }

    /// The calls that the sandbox received.
    func journal() throws -> [JSON] {
        try run("curl", ["-sf", "\(url)/_sandbox/journal"]).split(separator: "\n").map {
            try JSON(parsing: Array($0.utf8))
        }
    }

    /// The number of the group's records that are not committed yet, from Kafka's own tool where there is one.
    func committedLag() throws -> Int {
        guard broker.home != nil else {
            let configuration = ClientConfiguration(bootstrapServers: broker.bootstrap)
            let reader = try PartitionReader(configuration, topic: topics.requests, group: topics.group)
            let committed = try reader.committed((0..<Int32(partitions)).map { $0 }, milliseconds: 10_000)
            return try count(topics.requests) - committed.values.reduce(0) { $0 + max(0, Int($1.offset)) }
        }
        let text = try broker.tool("kafka-consumer-groups.sh", ["--describe", "--group", topics.group])
        let rows = text.split(separator: "\n").map { $0.split(separator: " ") }
        guard let head = rows.first(where: { $0.contains("LAG") }), let lag = head.firstIndex(of: "LAG"),
            let end = head.firstIndex(of: "LOG-END-OFFSET")
        else { throw Unmet("no lag is told: \(text)") }
        // The tool prints a dash if nothing was ever committed. The lag is then the whole partition.
        return rows.filter { $0.contains(Substring(topics.requests)) }.reduce(0) { sum, row in
            sum + (Int(row[lag]) ?? Int(row[end]) ?? 0)
        }
    }

    /// Checks the promise that each request record has exactly one result.
    func checkOneResultEach(_ requests: Int, _ location: SourceLocation = #_sourceLocation) throws {
        let results = try results()
        let positions = Set(results.map(\.position))
        #expect(positions.count == requests, "every record is answered", sourceLocation: location)
        #expect(results.count == positions.count, "none is answered twice", sourceLocation: location)
    }
}
