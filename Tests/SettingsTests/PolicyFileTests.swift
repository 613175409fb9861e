import Foundation
import Testing

@testable import Core
@testable import Settings

@Suite struct PolicyFileTests {
    static func load(_ text: String) throws(SettingsError) -> Policy {
        try PolicyFile.load(Array(text.utf8), file: "p")
    }

    @Test func `the keys of the first policy files mean what they meant`() throws {
        let policy = try Self.load("allow-operate-all: true\nprojects: [a, b]\nplugins: []\nmax-hosts: 10\n")
        var expected = Policy()
        (expected.allowOperateAll, expected.projects, expected.plugins) = (true, ["a", "b"], [])
        expected.maximumHosts = 10
        #expect(policy == expected)
        #expect(try Self.load("# nothing\n") == Policy())
    }

    @Test func `the example file is read, rule by rule`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let bytes = try Data(contentsOf: root.appendingPathComponent("schemas/examples/policy.yaml"))
        let policy = try PolicyFile.load(Array(bytes), file: "policy.yaml")
        var expected = Policy()
        expected.deniesByDefault = true
        var rules = [Policy.Rule("no-domain-controllers", .deny)]
        rules[0].hosts = ["dc-*"]
        for name in ["staging", "responders", "staging-all-hosts"] { rules.append(Policy.Rule(name, .allow)) }
        rules[1].selector.projects = ["staging-*"]
        rules[2].selector.projects = ["prod-*"]
        rules[2].selector.plugins = ["ndr"]
        rules[2].selector.producers = ["soc-*", "//alerts.example.com/*"]
        rules[3].selector = rules[1].selector
        rules[3].selector.plugins = ["ndr"]
        rules[3].operateAll = true
        expected.rules = rules
        expected.limits = [
            Policy.Limit("small-requests", .hostsPerRequest(50)),
            Policy.Limit("hosts-an-hour", .hosts(500, window: .seconds(3600))),
            Policy.Limit("chatty-producers", .requests(600, window: .seconds(60))),
        ]
        for index in 0..<2 { expected.limits[index].selector.projects = ["prod-*"] }
        let dates = ["2026-12-24T00:00:00Z", "2027-01-02T00:00:00Z"].compactMap(Timestamp.init(rfc3339:))
        expected.maintenance = [
            Maintenance("weekend", .weekly(days: [0, 6], from: .zero, lasting: .seconds(86_400))),
            Maintenance("year-end", .once(dates[0]..<dates[1])),
        ]
        expected.maintenance[0].selector.projects = ["prod-*"]
        expected.maintenance[0].allowsCritical = true
        #expect(policy == expected)
    }

    @Test func `a daily time that ends before it begins ends on the next day`() throws {
        let policy = try Self.load("maintenance: [{name: n, from: '22:00', to: '04:30'}]")
        #expect(
            policy.maintenance.first?.times
                == .weekly(days: Set(0...6), from: .seconds(79_200), lasting: .seconds(23_400)))
    }

    @Test(arguments: [
        ("project: [a]", "p:1:1", "did you mean projects"),
        ("max-hosts: 0", "p:1:12", "must be a whole number from 1"),
        ("default: maybe", "p:1:10", "must be one of: allow, deny"),
        ("rules: {}", "p:1:8", "must be a list"),
        ("rules:\n  - a", "p:2:5", "must be a list of mappings"),
        ("rules:\n  - effect: deny", "p:2:5", "is required in each rule"),
        ("rules:\n  - {name: a b, effect: deny}", "p:2:12", "must be 1 to 64 letters"),
        ("rules:\n  - {name: default, effect: deny}", "p:2:12", "is the name of a key"),
        ("rules: [{name: a, effect: deny}]\nlimits: [{name: a, hosts-per-request: 1}]", "p:2:17", "of another rule"),
        ("rules: [{name: a}]", "p:1:9", "is required in each rule"),
        ("rules: [{name: a, effect: allow, hosts: [h]}]", "p:1:41", "only for rules with effect: deny"),
        ("rules: [{name: a, effect: deny, window: 1s}]", "p:1:33", "is not a key of a rule"),
        ("rules: [{name: a, effect: deny, plugins: []}]", "p:1:42", "with one at least"),
        ("rules: [{name: a, effect: allow, operate-all: true, plugins: ['*']}]", "p:1:9", "[\"*\"] stands for all"),
        (
            "rules: [{name: a, effect: allow, all-granted-eps: true, enterprise-projects: [e]}]", "p:1:78",
            "must not be beside all-granted-eps"
        ),
        ("limits: [{name: a}]", "p:1:17", "must have one of: hosts-per-request"),
        ("limits: [{name: a, hosts-per-request: 1, hosts-per-project: 1}]", "p:1:17", "must have one of"),
        ("limits: [{name: a, hosts-per-project: 1}]", "p:1:17", "needs window"),
        ("limits: [{name: a, hosts-per-request: 1, window: 1m}]", "p:1:50", "needs window"),
        ("limits: [{name: a, requests-per-producer: 1, window: 25h}]", "p:1:54", "must be from 1s to 24h"),
        ("maintenance: [{name: a, from: '22:00'}]", "p:1:15", "is required in each maintenance"),
        ("maintenance: [{name: a, from: '22:00', to: '22:00'}]", "p:1:31", "must differ from to"),
        ("maintenance: [{name: a, from: '25:00', to: '22:00'}]", "p:1:31", "must be from 00:00 to 24:00"),
        ("maintenance: [{name: a, from: '2:00', to: '22:00'}]", "p:1:31", "must be a time of the day"),
        ("maintenance: [{name: a, from: '22:00', to: 2026-01-01T00:00:00Z}]", "p:1:44", "the form of from"),
        ("maintenance: [{name: a, from: '22:00', to: '23:00', days: [Sat]}]", "p:1:60", "must be a list of: sun"),
        ("maintenance: [{name: a, from: '22:00', to: '23:00', producers: [a]}]", "p:1:53", "is not a key"),
    ]) func `an error names the key, its place and the rule`(_ text: String, _ place: String, _ rule: String) {
        let error = #expect(throws: SettingsError.self) { try Self.load(text) }
        #expect(error?.source == place && error?.rule.contains(rule) ?? false, "\(error?.description ?? "accepted")")
    }
}
