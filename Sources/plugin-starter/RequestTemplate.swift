internal import Core
internal import Settings
internal import Worker

/// One request, as it is sent.
nonisolated struct OutgoingRequest {
    var key: String
    var value: [UInt8]
    /// The line of the input; nil for a request from flags.
    var line: Int?

    var record: OutgoingRecord { OutgoingRecord(key: Array(key.utf8), value: value) }
}

/// Makes requests from the flags and, where there is one, from an object of the input. Flags override its members.
nonisolated struct RequestTemplate {
    private let overrides: [JSON.Member]
    private let expiresIn: Duration?
    private let decoder: RequestDecoder

    /// Why an object is not a valid request.
    struct Fault: Error {
        var message: String
    }

    init(_ settings: Settings) {
        var members: [JSON.Member] = []
        func set(_ name: String, _ value: JSON?) {
            if let value { members.append(.init(name, value)) }
        }
        set("idempotency_key", settings[SettingTable.idempotencyKey].map(JSON.string))
        set("project_id", settings[SettingTable.projectID].map(JSON.string))
        set("enterprise_project_id", settings[SettingTable.enterpriseProjectID].map(JSON.string))
        set("plugin_code", settings[SettingTable.pluginCode].map(JSON.string))
        let hosts = settings.all(SettingTable.host).flatMap { $0.split(separator: ",").map(String.init) }
        if !hosts.isEmpty { set("host_id_list", .array(hosts.map(JSON.string))) }
        if settings.value(SettingTable.operateAll) { set("operate_all", .bool(true)) }
        expiresIn = settings[SettingTable.expiresIn]
        if expiresIn == nil { set("expires_at", settings[SettingTable.expiresAt].map(JSON.string)) }
        set("priority", settings[SettingTable.priority].map(JSON.string))
        set("correlation_id", settings[SettingTable.correlationID].map(JSON.string))
        set("requested_by", settings[SettingTable.requestedBy].map(JSON.string))
        set("reason", settings[SettingTable.reason].map(JSON.string))
        overrides = members
        // The worker's policy is not known here.
        decoder = RequestDecoder(maximumBytes: 16 << 20, policy: .unrestricted)
    }

    /// Whether a flag gives every request the same key.
    var hasKey: Bool { overrides.contains { $0.name == "idempotency_key" } }

    /// A valid request. Its key is random where none is given.
    func request(_ members: [JSON.Member], line: Int?) throws(Fault) -> OutgoingRequest {
        var overrides = overrides
        if let expiresIn { overrides.append(.init("expires_at", .string((Clock.wall + expiresIn).description))) }
        var merged = members.filter { member in !overrides.contains { $0.name == member.name } } + overrides
        if !merged.contains(where: { $0.name == "idempotency_key" }) {
            let key = Fingerprint(high: .random(in: 0...(.max)), low: .random(in: 0...(.max))).description
            merged.insert(.init("idempotency_key", .string(key)), at: 0)
        }
        let value = JSON.object(merged).bytes
        try check(value)
        return OutgoingRequest(key: JSON.object(merged)["idempotency_key"]?.string ?? "", value: value, line: line)
    }

    func request(_ line: [UInt8], number: Int) throws(Fault) -> OutgoingRequest {
        let json: JSON
        do throws(JSON.SyntaxError) { json = try JSON(parsing: line) } catch {
            throw Fault(message: "must be JSON: \(error)")
        }
        guard case .object(let members) = json else {
            throw Fault(message: "must be a JSON object, and is \(json.typeName)")
        }
        return try request(members, line: number)
    }

    /// Checks the value with the worker's own rules.
    private func check(_ value: [UInt8]) throws(Fault) {
        let record = Record(position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: value)
        guard case .failure(let rejection) = decoder.decode(record) else { return }
        let flag = SettingTable.rows.first {
            $0.name == rejection.field.replacing("_", with: "-") && $0.commands.contains(.request)
        }
        let hint = flag.map { " (--\($0.name))" } ?? (rejection.field.hasPrefix("host_id_list") ? " (--host)" : "")
        throw Fault(message: "\(rejection.message)\(hint)")
    }
}
