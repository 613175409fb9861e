import Testing

@testable import Core

@Suite struct PolicyTests {
    static func request(
        project: String = "p", enterpriseProject: String? = nil, plugin: String = "ndr", operateAll: Bool = false,
        hosts: [String] = ["h1"], producer: String? = nil, priority: String = "normal", headers: [Header] = []
    ) throws -> StartRequest {
        var members: [JSON.Member] = [
            .init("idempotency_key", .string("k")), .init("project_id", .string(project)),
            .init("plugin_code", .string(plugin)), .init("operate_all", .bool(operateAll)),
            .init("host_id_list", .array(hosts.map(JSON.string))), .init("priority", .string(priority)),
        ]
        if let enterpriseProject { members.append(.init("enterprise_project_id", .string(enterpriseProject))) }
        if let producer { members.append(.init("requested_by", .string(producer))) }
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: JSON.object(members).bytes,
            headers: headers)
        return try RequestDecoder(maximumBytes: 1 << 20, policy: .unrestricted).decode(record).get()
    }

    static func rule(
        _ name: String, _ effect: Policy.Rule.Effect, _ change: (inout Policy.Rule) -> Void = { _ in }
    ) -> Policy.Rule {
        var rule = Policy.Rule(name, effect)
        change(&rule)
        return rule
    }

    /// One combination of everything that can allow or refuse a request.
    struct Combination {
        static let count = 1 << 13
        let number: Int
        func has(_ bit: Int) -> Bool { number & (1 << bit) != 0 }
        var operateAll: Bool { has(0) }
        var isAllGranted: Bool { has(1) }
        var isDenied: Bool { has(2) }
        var isAllowed: Bool { has(3) }
        var hasLeaveForAll: Bool { has(4) }
        var hasLeaveForGranted: Bool { has(5) }
        var keyAllowsAll: Bool { has(6) }
        var keyAllowsGranted: Bool { has(7) }
        var deniesByDefault: Bool { has(8) }
        var isOtherProject: Bool { has(9) }
        var isOtherPlugin: Bool { has(10) }
        var isLarge: Bool { has(11) }
        /// Whether the rules that allow are before those that deny in the file.
        var allowsFirst: Bool { has(12) }

        var request: StartRequest {
            get throws {
                try PolicyTests.request(
                    enterpriseProject: isAllGranted ? "all_granted_eps" : nil, operateAll: operateAll,
                    hosts: isLarge ? ["a", "b", "c"] : ["a"])
            }
        }

        var policy: Policy {
            var policy = Policy()
            let deny = PolicyTests.rule("deny", .deny) { $0.selector.projects = [isDenied ? "p" : "q"] }
            let allow = PolicyTests.rule("allow", .allow) { $0.selector.plugins = [isAllowed ? "n*" : "x*"] }
            let all = PolicyTests.rule("all", .allow) {
                $0.selector.projects = [hasLeaveForAll ? "*" : "q"]
                $0.selector.plugins = ["ndr"]
                $0.operateAll = true
            }
            let granted = PolicyTests.rule("granted", .allow) {
                $0.selector.projects = ["p"]
                $0.selector.plugins = [hasLeaveForGranted ? "*" : "x"]
                $0.allGrantedEnterpriseProjects = true
            }
            policy.rules = allowsFirst ? [allow, all, granted, deny] : [deny, allow, all, granted]
            (policy.allowOperateAll, policy.allowAllGrantedEnterpriseProjects) = (keyAllowsAll, keyAllowsGranted)
            policy.deniesByDefault = deniesByDefault
            policy.projects = isOtherProject ? ["q"] : nil
            policy.plugins = isOtherPlugin ? ["other"] : ["ndr"]
            policy.maximumHosts = 2
            return policy
        }

        /// Every rule that refuses, written down without the policy's code.
        var refusing: [(rule: String, refuses: Bool)] {
            [
                ("deny", isDenied), ("projects", isOtherProject), ("plugins", isOtherPlugin),
                ("allow-operate-all", operateAll && !keyAllowsAll && !hasLeaveForAll),
                ("allow-all-granted-eps", isAllGranted && !keyAllowsGranted && !hasLeaveForGranted),
                ("default", deniesByDefault && !isAllowed && !hasLeaveForAll && !hasLeaveForGranted),
                ("max-hosts", isLarge && !operateAll),
            ]
        }

        var allowing: String {
            if operateAll { return hasLeaveForAll ? "all" : "allow-operate-all" }
            if isAllGranted { return hasLeaveForGranted ? "granted" : "allow-all-granted-eps" }
            return isAllowed ? "allow" : hasLeaveForAll ? "all" : hasLeaveForGranted ? "granted" : "default"
        }
    }

    @Test func `every combination of rules allows or refuses, deny wins, and the deciding rule is named`() throws {
        var seen: Set<String> = []
        let now = Timestamp(milliseconds: 0)
        for number in 0..<Combination.count {
            let combination = Combination(number: number)
            let decision = combination.policy.decision(for: try combination.request, at: now)
            let expected = combination.refusing.first { $0.refuses }?.rule
            let isRight = decision.rule == expected ?? combination.allowing && decision.refusal?.rule == expected
            #expect(isRight, "\(number): \(decision), expected \(expected ?? combination.allowing)")
            if let refusal = decision.refusal { #expect(refusal.text.contains("(\(refusal.rule))")) }
            seen.insert(decision.rule)
        }
        #expect(
            seen == [
                "deny", "projects", "plugins", "allow-operate-all", "allow-all-granted-eps", "default", "max-hosts",
                "all", "granted", "allow",
            ])
    }

    @Test func `the decoder rejects what the policy refuses, with the rule's name and the request's fields`() throws {
        var policy = Policy()
        policy.rules = [Self.rule("no-ndr", .deny) { $0.selector.plugins = ["ndr"] }]
        let value = #"{"idempotency_key":"k","project_id":"p","plugin_code":"ndr","host_id_list":["h"]}"#
        let record = Record(
            position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: Array(value.utf8))
        guard case .failure(let rejection) = RequestDecoder(maximumBytes: 1000, policy: policy).decode(record) else {
            Issue.record("accepted")
            return
        }
        #expect(rejection.category == .policy && rejection.fields.idempotencyKey == "k")
        #expect(rejection.message == "plugin_code is refused by the policy (no-ndr)")
    }

    @Test func `a rule that denies hosts denies operate_all, which names all of them`() throws {
        var policy = Policy()
        policy.allowOperateAll = true
        policy.rules = [Self.rule("dc", .deny) { $0.hosts = ["dc-*"] }]
        #expect(policy.refusal(of: try Self.request(hosts: ["a", "dc-1"]))?.field == "host_id_list")
        #expect(policy.refusal(of: try Self.request(operateAll: true))?.field == "operate_all")
        #expect(policy.refusal(of: try Self.request(hosts: ["a", "b"])) == nil)
    }

    @Test func `a rule that denies operate_all or all_granted_eps leaves other requests alone`() throws {
        var policy = Policy.unrestricted
        policy.rules = [Self.rule("all", .deny) { $0.operateAll = true }]
        #expect(policy.refusal(of: try Self.request(operateAll: true))?.rule == "all")
        #expect(policy.refusal(of: try Self.request()) == nil)
        policy.rules = [Self.rule("granted", .deny) { $0.allGrantedEnterpriseProjects = true }]
        #expect(policy.refusal(of: try Self.request(enterpriseProject: "all_granted_eps"))?.rule == "granted")
        #expect(policy.refusal(of: try Self.request(enterpriseProject: "e")) == nil)
    }

    @Test func `all_granted_eps matches every list of enterprise projects that restricts, and none that allows`() throws
    {
        let granted = try Self.request(enterpriseProject: "all_granted_eps")
        var policy = Policy.unrestricted
        policy.rules = [Self.rule("secret", .deny) { $0.selector.enterpriseProjects = ["secret"] }]
        #expect(policy.refusal(of: granted)?.rule == "secret")
        #expect(policy.refusal(of: try Self.request()) == nil)
        policy.rules = [Self.rule("zero", .allow) { $0.selector.enterpriseProjects = ["0"] }]
        policy.deniesByDefault = true
        #expect(policy.refusal(of: granted)?.rule == "default")
        #expect(policy.refusal(of: try Self.request()) == nil, "no enterprise project is 0")
    }

    @Test func `a producer is requested_by, else the event's source, else the header`() throws {
        let event = [Header("ce_specversion", "1.0"), Header("ce_id", "1"), Header("ce_source", "//s")]
        let header = [Header("Requested-By", "head")]
        #expect(try Self.request(producer: "me", headers: event + header).producer == "me")
        #expect(try Self.request(producer: "", headers: event + header).producer == "//s")
        #expect(try Self.request(headers: header).producer == "head")
        #expect(try Self.request(headers: [Header("requested-by", [0xFF])]).producer == nil)
        let long = [Header("requested-by", String(repeating: "é", count: 300))]
        #expect(try Self.request(headers: long).producer?.unicodeScalars.count == 256)
        var policy = Policy()
        policy.deniesByDefault = true
        policy.rules = [Self.rule("soc", .allow) { $0.selector.producers = ["soc-*"] }]
        #expect(policy.refusal(of: try Self.request(producer: "soc-1")) == nil)
        #expect(policy.refusal(of: try Self.request())?.rule == "default")
    }

    @Test(arguments: [
        ("a", "a", true), ("a", "A", false), ("*", "", true), ("a*", "a", true), ("a*c", "abbc", true),
        ("a*c", "abcb", false), ("?", "é", true), ("?", "", false), ("a?c", "abc", true), ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxaxx", false), ("**", "x", true), ("a*", "ba", false), ("*ab", "aab", true),
        ("e\u{301}", "é", false), ("[a]", "a", false),
    ]) func `a glob matches whole texts, with case`(_ pattern: String, _ text: String, _ matches: Bool) {
        #expect(NamePatterns([pattern]).matches(text) == matches)
    }

    @Test func `a glob that matches almost everywhere takes no exponential time`() {
        let glob = NamePatterns([String(repeating: "a*", count: 100) + "b"])
        #expect(!glob.matches(String(repeating: "a", count: 256)))
    }
}
