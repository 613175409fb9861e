internal import Core

/// Requests of every kind that a demo shows, each with its expected result.
nonisolated struct DemoRequests {
    struct Entry {
        var key: String
        var value: [UInt8]
        var expected: Status
    }

    private(set) var entries: [Entry] = []
    private var generator: SplitMix64
    private var firsts: [(key: String, project: String, plugin: String, hosts: [String])] = []

    init(count: Int, seed: UInt64, now: Timestamp) {
        generator = SplitMix64(seed: seed)
        for number in 0..<count { add(number, now) }
    }

    var expected: [Status: Int] { Dictionary(grouping: entries, by: \.expected).mapValues(\.count) }

    /// Of a hundred: 10 repeated, 3 conflicting, 5 invalid or against the policy, 3 expired, 4 refused by HSS, 75 good.
    private mutating func add(_ number: Int, _ now: Timestamp) {
        let key = "demo-\(number)"
        let lot = number < 10 ? 99 : Int.random(in: 0..<100, using: &generator)
        let first = firsts.randomElement(using: &generator)
        switch lot {
        case 0..<10:
            if let first { append(first.key, first.project, first.plugin, first.hosts, .duplicate) }
        case 10..<13:
            if let first { append(first.key, first.project, first.plugin, first.hosts + ["one-more"], .conflict) }
        case 13..<15: entries.append(Entry(key: key, value: Array("{\"project_id\":".utf8), expected: .rejected))
        case 15..<17: append(key, "project-a", "ndr", [], .rejected)
        case 17: append(key, "project-a", "ndr", [], .rejected, [.init("operate_all", .bool(true))])
        case 18..<21:
            append(
                key, "project-a", "ndr", ["late-host"], .expired,
                [.init("expires_at", .string((now + .seconds(-60)).description))])
        case 21..<25: append(key, "project-of-a-mistake", "ndr", ["unknown-\(number)"], .failed)
        default:
            let project = ["project-a", "project-b"].randomElement(using: &generator) ?? "project-a"
            let plugin = Int.random(in: 0..<4, using: &generator) == 0 ? "hids" : "ndr"
            let hosts = (0..<Int.random(in: 1...2, using: &generator)).map { _ in
                "host-\(Int.random(in: 0..<400, using: &generator))"
            }
            let distinct = hosts.count == 2 && hosts[0] == hosts[1] ? [hosts[0]] : hosts
            firsts.append((key, project, plugin, distinct))
            append(key, project, plugin, distinct, .succeeded)
        }
    }

    private mutating func append(
        _ key: String, _ project: String, _ plugin: String, _ hosts: [String], _ expected: Status,
        _ more: [JSON.Member] = []
    ) {
        let members: [JSON.Member] =
            [
                .init("idempotency_key", .string(key)), .init("project_id", .string(project)),
                .init("plugin_code", .string(plugin)), .init("host_id_list", .array(hosts.map(JSON.string))),
            ] + more
        entries.append(Entry(key: key, value: JSON.object(members).bytes, expected: expected))
    }
}
