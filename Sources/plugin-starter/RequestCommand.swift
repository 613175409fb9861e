internal import Checking
internal import Core
internal import Kafka
internal import Settings
internal import Worker

/// `request`: publishes one request, and waits for its result if asked to.
nonisolated enum RequestCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let (key, value) = try request(settings)
        try validate(value)
        let kafka = try settings.kafka()
        let topic = settings.value(SettingTable.requestsTopic)
        _ = try Topics.partitions(topic, kafka)
        let waiting = try settings[SettingTable.wait].map { (time) throws(CommandFailure) in
            (time, try ResultStream(settings, kafka, start: .end))
        }
        let position = try publish(key, value, topic, kafka)
        guard let (time, stream) = waiting else {
            print(key, position, settings)
            return 0
        }
        let deadline = Clock.uptime + time
        var found: JSON?
        try stream.read(until: { Clock.uptime >= deadline || found != nil }) { record, result in
            if LedgerEntry(record)?.position == position { found = result }
        }
        guard let found else {
            print(key, position, settings)
            Console.error("plugin-starter: no result within \(time.unitText); the request stays queued")
            return 75
        }
        return show(found, settings)
    }

    private static func print(_ key: String, _ position: Position, _ settings: Settings) {
        if settings.value(SettingTable.json) {
            let line = JSON.object([
                .init("idempotency_key", .string(key)), .init("partition", .integer(Int64(position.partition))),
                .init("offset", .integer(position.offset)),
            ])
            Console.print(String(decoding: line.bytes, as: UTF8.self))
        } else {
            Console.print(key)
        }
    }

    private static func show(_ result: JSON, _ settings: Settings) -> Int32 {
        let status = result["status"]?.string ?? ""
        if settings.value(SettingTable.json) {
            Console.print(String(decoding: result.bytes, as: UTF8.self))
        } else {
            Console.print("\(result["idempotency_key"]?.string ?? "") \(status)")
            let error = result["error"]
            if let title = error?["title"]?.string {
                let detail = error?["detail"]?.string.map { ": \($0)" } ?? ""
                Console.error("\(error?["code"]?.string ?? "") \(title)\(detail)")
            }
        }
        // A duplicate has the same outcome as its original.
        let decisive = status == Status.duplicate.rawValue ? result["original"]?["status"]?.string : status
        return decisive == Status.succeeded.rawValue ? 0 : 1
    }

    /// The key and the value, from the flags or the file.
    private static func request(_ settings: Settings) throws(CommandFailure) -> (key: String, value: [UInt8]) {
        var members: [JSON.Member] = []
        if let path = settings.operands.first {
            guard let bytes = File.read(path) else { throw CommandFailure(64, "\(path) cannot be read") }
            let json: JSON
            do throws(JSON.SyntaxError) { json = try JSON(parsing: bytes) } catch {
                throw CommandFailure(64, "\(path) must be JSON: \(error)")
            }
            guard case .object(let read) = json else { throw CommandFailure(64, "\(path) must contain a JSON object") }
            members = read
        }
        func set(_ name: String, _ value: JSON?) {
            guard let value else { return }
            members.removeAll { $0.name == name }
            members.append(.init(name, value))
        }
        set("project_id", settings[SettingTable.projectID].map(JSON.string))
        set("enterprise_project_id", settings[SettingTable.enterpriseProjectID].map(JSON.string))
        set("plugin_code", settings[SettingTable.pluginCode].map(JSON.string))
        let hosts = settings.all(SettingTable.host).flatMap { $0.split(separator: ",").map(String.init) }
        if !hosts.isEmpty { set("host_id_list", .array(hosts.map(JSON.string))) }
        if settings.value(SettingTable.operateAll) { set("operate_all", .bool(true)) }
        set("idempotency_key", settings[SettingTable.idempotencyKey].map(JSON.string))
        set("expires_at", settings[SettingTable.expiresAt].map(JSON.string))
        set("expires_at", settings[SettingTable.expiresIn].map { .string((Clock.wall + $0).description) })
        set("priority", settings[SettingTable.priority].map(JSON.string))
        set("correlation_id", settings[SettingTable.correlationID].map(JSON.string))
        set("requested_by", settings[SettingTable.requestedBy].map(JSON.string))
        set("reason", settings[SettingTable.reason].map(JSON.string))
        if let key = JSON.object(members)["idempotency_key"]?.string { return (key, JSON.object(members).bytes) }
        if JSON.object(members)["idempotency_key"] == nil {
            let key = Fingerprint(high: .random(in: 0...(.max)), low: .random(in: 0...(.max))).description
            members.insert(.init("idempotency_key", .string(key)), at: 0)
            return (key, JSON.object(members).bytes)
        }
        return ("", JSON.object(members).bytes)
    }

    /// Checks the value with the worker's own rules. The worker's policy is not known here.
    private static func validate(_ value: [UInt8]) throws(CommandFailure) {
        var policy = Policy()
        policy.allowOperateAll = true
        policy.allowAllGrantedEnterpriseProjects = true
        let record = Record(position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: value)
        if case .failure(let rejection) = RequestDecoder(maximumBytes: 16 << 20, policy: policy).decode(record) {
            let flag = SettingTable.rows.first {
                $0.name == rejection.field.replacing("_", with: "-") && $0.commands.contains(.request)
            }
            let hint = flag.map { " (--\($0.name))" } ?? (rejection.field == "host_id_list" ? " (--host)" : "")
            throw CommandFailure(64, "\(rejection.message)\(hint)")
        }
    }

    private static func publish(
        _ key: String, _ value: [UInt8], _ topic: String, _ kafka: ClientConfiguration
    ) throws(CommandFailure) -> Position {
        do throws(KafkaError) {
            let producer = try Producer(kafka, topic: topic)
            let outcome = producer.produce(id: 1, partition: nil, key: Array(key.utf8), value: value, headers: [])
            if case .refused(let error) = outcome { throw error }
            let deadline = Clock.uptime + .seconds(30)
            var events: [ProducerEvent] = []
            var last: KafkaError?
            while Clock.uptime < deadline {
                events.removeAll()
                _ = producer.next(into: &events, milliseconds: 100)
                for event in events {
                    switch event {
                    case .acknowledged(_, let position): return position
                    case .refused(_, let error): throw error
                    case .failed(let error): last = error
                    case .log: break
                    }
                }
            }
            throw last ?? KafkaError.timedOut
        } catch {
            throw Topics.failure(error, kafka, topic: topic, .write)
        }
    }
}
