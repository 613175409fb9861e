package import Core

/// Reads the policy file. `schemas/policy.schema.json` describes the same form.
package enum PolicyFile {
    /// Throws the first error, with its place and the rule that it breaks.
    package static func load(_ bytes: [UInt8], file: String) throws(SettingsError) -> Policy {
        let top = PolicyMapping(try YAMLSettings.members(bytes, file: file), "policy", file)
        try top.allowOnly([
            "allow-operate-all", "allow-all-granted-eps", "projects", "plugins", "max-hosts", "default", "rules",
            "limits", "maintenance", "dry-run",
        ])
        var policy = Policy()
        policy.allowOperateAll = try top.value("allow-operate-all", .flag) ?? false
        policy.allowAllGrantedEnterpriseProjects = try top.value("allow-all-granted-eps", .flag) ?? false
        policy.projects = try top.patterns("projects", mayBeEmpty: true)
        policy.plugins = try top.patterns("plugins", mayBeEmpty: true)
        policy.maximumHosts = try top.value("max-hosts", .whole(1...1_000_000))
        policy.deniesByDefault = try top.value("default", .choice(["allow", "deny"])) == "deny"
        policy.isDryRun = try top.value("dry-run", .flag) ?? false
        var names = Policy.reservedNames
        func named<Element>(
            _ key: String, _ kind: String, _ read: (PolicyMapping, String) throws(SettingsError) -> Element
        ) throws(SettingsError) -> [Element] {
            try top.mappings(key, kind).map { (mapping) throws(SettingsError) in
                let name = try mapping.required("name", .ruleName)
                guard names.insert(name).inserted else {
                    throw mapping.fail("name", name, "is the name of a key or of another rule")
                }
                return try read(mapping, name)
            }
        }
        policy.rules = try named("rules", "rule", rule)
        policy.limits = try named("limits", "limit", limit)
        policy.maintenance = try named("maintenance", "maintenance", maintenance)
        return policy
    }

    private static let selectors = ["name", "projects", "enterprise-projects", "plugins"]

    private static func selector(_ mapping: PolicyMapping) throws(SettingsError) -> Policy.Selector {
        var selector = Policy.Selector()
        selector.projects = try mapping.patterns("projects")
        selector.enterpriseProjects = try mapping.patterns("enterprise-projects")
        selector.plugins = try mapping.patterns("plugins")
        selector.producers = try mapping.patterns("producers")
        return selector
    }

    private static func rule(_ mapping: PolicyMapping, _ name: String) throws(SettingsError) -> Policy.Rule {
        try mapping.allowOnly(selectors + ["producers", "effect", "hosts", "operate-all", "all-granted-eps"])
        let effect = try mapping.required("effect", .choice(Policy.Rule.Effect.allCases.map(\.rawValue)))
        var rule = Policy.Rule(name, effect == "allow" ? .allow : .deny)
        rule.selector = try selector(mapping)
        rule.hosts = try mapping.patterns("hosts")
        rule.operateAll = try mapping.value("operate-all", .flag) ?? false
        rule.allGrantedEnterpriseProjects = try mapping.value("all-granted-eps", .flag) ?? false
        guard rule.effect == .allow else { return rule }
        if rule.hosts != nil { throw mapping.fail("hosts", "...", "is only for rules with effect: deny") }
        if rule.allGrantedEnterpriseProjects, rule.selector.enterpriseProjects != nil {
            throw mapping.fail("enterprise-projects", "...", "must not be beside all-granted-eps: true")
        }
        guard rule.operateAll || rule.allGrantedEnterpriseProjects else { return rule }
        for (key, list) in [("projects", rule.selector.projects), ("plugins", rule.selector.plugins)]
        where list == nil {
            throw mapping.fail(
                key, name, "is required beside operate-all or all-granted-eps; [\"*\"] stands for all")
        }
        return rule
    }

    private static func limit(_ mapping: PolicyMapping, _ name: String) throws(SettingsError) -> Policy.Limit {
        let measures = ["hosts-per-request", "hosts-per-project", "requests-per-producer"]
        try mapping.allowOnly(selectors + ["producers", "window"] + measures)
        let given = try measures.map { (key) throws(SettingsError) in
            try mapping.value(key, .whole(1...1_000_000))
        }
        guard given.filter({ $0 != nil }).count == 1 else {
            throw mapping.fail("name", name, "must have one of: \(measures.joined(separator: ", "))")
        }
        let window = try mapping.value("window", .duration(.seconds(1)...(.seconds(86_400))))
        if (window == nil) != (given[0] != nil) {
            throw mapping.fail(
                window == nil ? "name" : "window", name,
                "needs window beside hosts-per-project or requests-per-producer, and not beside hosts-per-request")
        }
        let length = window ?? .zero
        let measure: Policy.Limit.Measure? =
            given[0].map { .hostsPerRequest($0) } ?? given[1].map { .hosts($0, window: length) }
            ?? given[2].map { .requests($0, window: length) }
        guard let measure else { throw mapping.fail("name", name, "has no measure") }
        var limit = Policy.Limit(name, measure)
        limit.selector = try selector(mapping)
        return limit
    }

    private static func maintenance(_ mapping: PolicyMapping, _ name: String) throws(SettingsError) -> Maintenance {
        try mapping.allowOnly(selectors + ["days", "from", "to", "except"])
        let from = try mapping.required("from", .maintenanceTime)
        let to = try mapping.required("to", .maintenanceTime)
        let days = try mapping.days("days")
        let times: Maintenance.Times
        switch (from, to) {
        case (.daily(let from), .daily(let to)):
            guard from != to, from < .seconds(86_400) else {
                throw mapping.fail("from", name, "must differ from to, and be before 24:00")
            }
            times = .weekly(
                days: days ?? Set(0...6), from: from, lasting: to > from ? to - from : to - from + .seconds(86_400))
        case (.once(let from), .once(let to)):
            guard from < to else { throw mapping.fail("to", name, "must be after from") }
            guard days == nil else { throw mapping.fail("days", name, "must not be beside dates") }
            times = .once(from..<to)
        default: throw mapping.fail("to", name, "must have the form of from: HH:MM, or a date with time")
        }
        var maintenance = Maintenance(name, times)
        maintenance.selector = try selector(mapping)
        maintenance.allowsCritical = try mapping.value("except", .choice(["critical"])) != nil
        return maintenance
    }
}

/// A time of the day in UTC, or a point in time.
enum MaintenanceTime: Sendable {
    case daily(Duration)
    case once(Timestamp)
}

extension ValueType where Value == MaintenanceTime {
    /// `22:00`, `24:00` or `2026-12-24T00:00:00Z`.
    static let maintenanceTime = ValueType(placeholder: "TIME") { (text) throws(ValueError) in
        if let time = Timestamp(rfc3339: text) { return .once(time) }
        let digits = Array(text.utf8)
        guard digits.count == 5, digits[2] == UInt8(ascii: ":"),
            [0, 1, 3, 4].allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digits[$0]) })
        else { throw ValueError(rule: "must be a time of the day in UTC such as 22:00, or an RFC 3339 time") }
        let numbers = digits.map { Int($0) - 48 }
        let (hours, minutes) = (numbers[0] * 10 + numbers[1], numbers[3] * 10 + numbers[4])
        guard minutes < 60, hours < 24 || (hours == 24 && minutes == 0) else {
            throw ValueError(rule: "must be from 00:00 to 24:00")
        }
        return .daily(.seconds(hours * 3600 + minutes * 60))
    }
}

extension ValueType where Value == String {
    /// The name of a rule, as results and logs have it.
    static let ruleName = ValueType(placeholder: "NAME") { (text) throws(ValueError) in
        let isPlain = text.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20) || "0123456789-_.".utf8.contains($0)
        }
        guard isPlain, (1...64).contains(text.utf8.count) else {
            throw ValueError(rule: "must be 1 to 64 letters, digits, hyphens, underscores and dots")
        }
        return text
    }
}
