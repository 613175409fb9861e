internal import Core
internal import Glibc
internal import HSS
internal import HTTP
internal import Kafka
internal import Reporting
internal import Settings
internal import Worker

/// `explain`: everything that is known about a key, from the topics and from the workers that answer.
nonisolated enum ExplainCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        guard let key = settings.operands.first else { throw CommandFailure(64, "KEY: name an idempotency key") }
        let kafka = try settings.kafka()
        let topic = settings.value(SettingTable.requestsTopic)
        var story = KeyStory(key: key, topic: topic)
        // The worker is asked first. A request that it answers in the meantime has its result when the topics are read.
        story.workers = try workers(settings, key)
        let since = settings[SettingTable.since].map { Clock.wall + (.zero - $0) }
        let decoder = RequestDecoder(maximumBytes: 16 << 20, policy: .unrestricted)
        try read(topic, kafka, since) { record in
            let fields: RequestFields
            switch decoder.decode(record) {
            case .success(let request): fields = request.fields
            case .failure(let rejection): fields = rejection.fields
            }
            if fields.idempotencyKey == key { story.requests.append(.init(record, fields)) }
        }
        story.requests.sort {
            ($0.timestamp?.milliseconds ?? 0, $0.position) < ($1.timestamp?.milliseconds ?? 0, $1.position)
        }
        let positions = Set(story.requests.map(\.position))
        if !positions.isEmpty {
            try addResults(to: &story, positions, settings.value(SettingTable.resultsTopic), kafka, since)
            try addDeadLetters(to: &story, positions, settings[SettingTable.deadLetterTopic], kafka, since)
            story.committed = committed(settings, positions, kafka)
        }
        if settings.value(SettingTable.json) {
            Console.print(story.json.text)
        } else {
            Console.print(story.lines(now: Clock.wall).joined(separator: "\n"))
        }
        return story.isKnown ? 0 : 1
    }

    private static func read(
        _ topic: String, _ kafka: ClientConfiguration, _ since: Timestamp?, _ take: (Record) -> Void
    ) throws(CommandFailure) {
        let cursor = try PartitionCursor(topic, kafka)
        let partitions = (0..<Int32(try Topics.partitions(topic, kafka))).map { $0 }
        try cursor.read(try cursor.ranges(partitions, since: since), until: { false }) { record in
            if let since, let time = record.timestamp, time < since { return }
            take(record)
        }
    }

    private static func addResults(
        to story: inout KeyStory, _ positions: Set<Position>, _ topic: String, _ kafka: ClientConfiguration,
        _ since: Timestamp?
    ) throws(CommandFailure) {
        var results: [Position: JSON] = [:]
        // Calls that other requests may share.
        var calls: [String: [Position: String]] = [:]
        func entry(_ record: Record) -> LedgerEntry? {
            LedgerEntry(record).flatMap { $0.source.map { $0.topic == story.topic } ?? true ? $0 : nil }
        }
        try read(topic, kafka, since) { record in
            guard let entry = entry(record), positions.contains(entry.position),
                let result = record.value.flatMap({ try? JSON(parsing: $0) })
            else { return }
            results[entry.position] = result
            if let call = entry.call, result["call"]?["requests"]?.integer ?? 1 > 1 { calls[call] = [:] }
        }
        if !calls.isEmpty {
            try read(topic, kafka, since) { record in
                guard let entry = entry(record), let call = entry.call, calls[call] != nil,
                    !positions.contains(entry.position),
                    let key = record.value.flatMap({ try? JSON(parsing: $0) })?["idempotency_key"]?.string
                else { return }
                calls[call]?[entry.position] = key
            }
        }
        story.results = results
        story.sharers = calls.mapValues { keys in keys.sorted { $0.key < $1.key }.map(\.value) }
    }

    private static func addDeadLetters(
        to story: inout KeyStory, _ positions: Set<Position>, _ topic: String?, _ kafka: ClientConfiguration,
        _ since: Timestamp?
    ) throws(CommandFailure) {
        guard let topic else { return }
        var found: Set<Position> = []
        try read(topic, kafka, since) { record in
            guard let (origin, position) = record.deadLetterOrigin, origin == story.topic else { return }
            if positions.contains(position) { found.insert(position) }
        }
        story.deadLetters = found
    }

    /// Nil where they cannot be read, for example for want of a right on the group.
    private static func committed(
        _ settings: Settings, _ positions: Set<Position>, _ kafka: ClientConfiguration
    ) -> [Int32: Int64]? {
        let partitions = Set(positions.map(\.partition)).sorted()
        let group = settings.value(SettingTable.group)
        return try? PartitionReader(kafka, topic: settings.value(SettingTable.requestsTopic), group: group)
            .committed(partitions, milliseconds: 10_000).mapValues(\.offset)
    }

    // MARK: Workers

    private static func workers(_ settings: Settings, _ key: String) throws(CommandFailure) -> [KeyStory.WorkerAnswer] {
        let urls = settings.all(SettingTable.admin)
        guard !urls.isEmpty else { return [] }
        var configuration = HTTPClient.Configuration(maximumResponseBytes: 4 << 20)
        configuration.connectTimeout = .seconds(2)
        configuration.totalTimeout = .seconds(10)
        let client: HTTPClient
        do throws(HTTPError) { client = try HTTPClient(configuration) } catch {
            throw CommandFailure(70, error.description)
        }
        for (number, url) in urls.enumerated() {
            client.send(
                HTTPRequest(method: "GET", url: "\(url)/explain?key=\(Signer.percentEncode(key))"), id: UInt64(number))
        }
        var answers = urls.map { KeyStory.WorkerAnswer(url: $0, answer: .failure(.init("no answer"))) }
        while client.inFlight > 0 {
            for completion in client.turn(now: Clock.uptime) {
                answers[Int(completion.id)].answer = answer(completion)
            }
            usleep(5000)
        }
        return answers
    }

    private static func answer(_ completion: HTTPCompletion) -> Result<JSON, KeyStory.WorkerAnswer.Reason> {
        if let failure = completion.failure { return .failure(.init("\(failure)")) }
        guard completion.status == 200, let json = try? JSON(parsing: completion.body) else {
            return .failure(.init("HTTP \(completion.status)"))
        }
        return .success(json)
    }
}
