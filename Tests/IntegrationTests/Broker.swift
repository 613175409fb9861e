import Foundation
import Testing

/// The broker of a test. All tests share a real Apache Kafka broker: the one that `KAFKA_BOOTSTRAP_SERVERS` names, or one
/// started from `KAFKA_HOME`. Where there is none, each test has an embedded broker of its own (`plugin-starter broker`).
final class Broker: @unchecked Sendable {
    // Tests that use the broker run one after another, and only they write to this class.
    let bootstrap: String
    /// SASL_SSL with PLAIN, user worker, password worker-secret; nil if the broker is not our own.
    private(set) var tlsBootstrap: String?
    private(set) var directory: URL?
    let home: String?
    private var process: Process?
    private var embedded: Executable?

    private static let environment = ProcessInfo.processInfo.environment
    static let shared: Result<Broker, any Error> = Result { try Broker() }
    /// Whether the tests run on a real broker. `REQUIRE_INTEGRATION=1` makes a missing one an error.
    static let isReal: Bool = {
        let isThere = environment["KAFKA_BOOTSTRAP_SERVERS"] != nil || canBeStarted
        if !isThere { print("SKIPPED, as there is no real broker: \(remedy)") }
        return isThere || environment["REQUIRE_INTEGRATION"] == "1"
    }()
    static let remedy =
        "set KAFKA_HOME to an Apache Kafka release (make kafka fetches one), or KAFKA_BOOTSTRAP_SERVERS"

    /// A broker with authorization, except on its plain listener.
    static let guarded: Result<Broker, any Error> = Result {
        try Broker(
            more: """
                authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
                super.users=User:ANONYMOUS
                """)
    }
    static let canBeStarted = environment["KAFKA_HOME"] != nil
    /// Users of the TLS listener. A user's password is its name and `-secret`.
    static let users = ["worker", "norequests", "noresults", "nowrite", "nogroup", "reader"]

    private init(more: String? = nil) throws {
        home = Self.environment["KAFKA_HOME"]
        if more == nil, let servers = Self.environment["KAFKA_BOOTSTRAP_SERVERS"] {
            bootstrap = servers
            return
        }
        guard let home else { throw Unmet("no real broker: \(Self.remedy)") }
        let directory = try Executable.scratch("broker")
        self.directory = directory
        let ports = try (0..<3).map { _ in try Self.freePort() }
        bootstrap = "127.0.0.1:\(ports[0])"
        tlsBootstrap = "127.0.0.1:\(ports[2])"
        try Self.makeCertificates(directory)
        let properties = directory.appendingPathComponent("server.properties")
        try (Self.properties(directory, ports) + "\n" + (more ?? "")).write(
            to: properties, atomically: true, encoding: .utf8)
        let id = try run("\(home)/bin/kafka-storage.sh", ["random-uuid"]).trimmingCharacters(
            in: .whitespacesAndNewlines)
        try run("\(home)/bin/kafka-storage.sh", ["format", "--cluster-id", id, "--config", properties.path])
        try start()
        if more == nil {
            atexit { if case .success(let broker) = Broker.shared { broker.discard() } }
        } else {
            atexit { if case .success(let broker) = Broker.guarded { broker.discard() } }
        }
    }

    private init(embedded topics: [(name: String, partitions: Int)]) throws {
        home = nil
        let broker = try Executable.starter(["broker"] + topics.flatMap { ["--topic", "\($0.name):\($0.partitions)"] })
        bootstrap = try broker.firstLine()
        embedded = broker
    }

    /// A broker and a pair of topics for one test only.
    static func forTest(_ name: String, partitions: Int) throws -> (Broker, Topics) {
        if isReal {
            let broker = try shared.get()
            return (broker, try broker.topics(name, requests: partitions, results: partitions))
        }
        let topics = Topics(name)
        return (try Broker(embedded: [(topics.requests, partitions), (topics.results, partitions)]), topics)
    }

    func start() throws {
        guard let home, let directory else { throw Unmet("this broker is not ours to start") }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "\(home)/bin/kafka-server-start.sh")
        process.arguments = [directory.appendingPathComponent("server.properties").path]
        process.environment = ProcessInfo.processInfo.environment.merging(["LOG_DIR": directory.path]) { $1 }
        let log = directory.appendingPathComponent("broker.log")
        if !FileManager.default.fileExists(atPath: log.path) {
            _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        }
        let handle = try FileHandle(forWritingTo: log)
        handle.seekToEndOfFile()
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process = process
        try eventually("the broker answers", seconds: 60) {
            (try? run("kcat", ["-L", "-b", bootstrap, "-m", "2"], seconds: 10)) != nil
        }
    }

    /// Kills the broker with SIGKILL, as in a crash. Its data stays.
    func crash() {
        guard let process else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    private func discard() {
        crash()
        if let directory { try? FileManager.default.removeItem(at: directory) }
    }

    /// Creates a topic with 12 partitions. The broker does so when a client asks for one that does not exist.
    func create(_ topic: String) throws {
        try eventually("topic \(topic) is there", seconds: 30) {
            try run("kcat", ["-L", "-b", bootstrap, "-t", topic, "-X", "allow.auto.create.topics=true"])
                .contains("with 12 partitions")
        }
    }

    func topics(_ name: String, requests: Int = 12, results: Int = 12) throws -> Topics {
        let topics = Topics(name)
        if requests == 12 && results == 12 {
            for topic in [topics.requests, topics.results] { try create(topic) }
            return topics
        }
        for (topic, count) in [(topics.requests, requests), (topics.results, results)] {
            try tool("kafka-topics.sh", ["--create", "--topic", topic, "--partitions", "\(count)"])
        }
        return topics
    }

    @discardableResult
    func tool(_ name: String, _ arguments: [String]) throws -> String {
        guard let home else { throw Unmet("\(name) needs KAFKA_HOME") }
        return try run("\(home)/bin/\(name)", ["--bootstrap-server", bootstrap] + arguments)
    }

    static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, length) + getsockname(descriptor, $0, &length)
            }
        }
        guard code == 0 else { throw Unmet("no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func makeCertificates(_ directory: URL) throws {
        let script = """
            set -e; cd '\(directory.path)'
            for ca in ca other-ca; do
              openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$ca" -keyout $ca.key -out $ca.pem 2>/dev/null
            done
            openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout s.key -out s.csr 2>/dev/null
            printf 'subjectAltName=IP:127.0.0.1' > ext
            openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out s.pem 2>/dev/null
            openssl pkcs8 -topk8 -nocrypt -in s.key -out s.pk8
            cat s.pk8 s.pem > keystore.pem
            """
        try run("bash", ["-c", script])
    }

    private static func properties(_ directory: URL, _ ports: [Int]) -> String {
        """
        process.roles=broker,controller
        node.id=1
        controller.quorum.voters=1@127.0.0.1:\(ports[1])
        listeners=PLAINTEXT://127.0.0.1:\(ports[0]),CONTROLLER://127.0.0.1:\(ports[1]),SASL_SSL://127.0.0.1:\(ports[2])
        advertised.listeners=PLAINTEXT://127.0.0.1:\(ports[0]),SASL_SSL://127.0.0.1:\(ports[2])
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
        controller.listener.names=CONTROLLER
        inter.broker.listener.name=PLAINTEXT
        log.dirs=\(directory.path)/data
        num.partitions=12
        offsets.topic.replication.factor=1
        offsets.topic.num.partitions=4
        transaction.state.log.replication.factor=1
        transaction.state.log.min.isr=1
        group.initial.rebalance.delay.ms=0
        group.min.session.timeout.ms=1000
        broker.session.timeout.ms=2000
        broker.heartbeat.interval.ms=500
        controlled.shutdown.enable=false
        sasl.enabled.mechanisms=PLAIN
        ssl.keystore.type=PEM
        ssl.keystore.location=\(directory.path)/keystore.pem
        ssl.client.auth=none
        listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \(users.map { "user_\($0)=\"\($0)-secret\"" }.joined(separator: " "));
        """
    }
}

/// Names for one test only.
struct Topics {
    var requests: String
    var results: String
    var group: String
}

extension Topics {
    init(_ name: String) {
        let unique = "\(name)-\(UUID().uuidString.prefix(8))"
        self.init(requests: "\(unique).requests", results: "\(unique).results", group: "\(unique)-group")
    }
}
