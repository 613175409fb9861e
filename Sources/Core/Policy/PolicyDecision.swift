/// What a policy says about a request, and which of its rules says so. It does not depend on other requests: what is
/// counted in windows is in `LimitCounts`.
package struct PolicyDecision: Equatable, Sendable {
    /// The rule that allows or refuses the request: its name in the file, or the name of a key of the policy.
    package var rule: String
    /// Nil where the request is allowed.
    package var refusal: PolicyRefusal?
    /// The limits that count the request in a window.
    package var limits: [String] = []
    /// While it is set no call is made for the request.
    package var maintenance: Maintenance.Hold?
    /// Whether the request gets a result without a call, although it is allowed.
    package var isDryRun = false

    /// One sentence for a person.
    package var description: String {
        if let refusal { return "refused: \(refusal.field) \(refusal.text)" }
        var text = "allowed by \(rule)"
        if !limits.isEmpty { text += ", counted by \(limits.joined(separator: ", "))" }
        if let maintenance { text += ", waits until \(maintenance.until) for maintenance \(maintenance.rule)" }
        if isDryRun { text += ", without a call (dry-run)" }
        return text
    }
}

/// Why a policy refuses a request.
package struct PolicyRefusal: Equatable, Sendable {
    package var rule: String
    /// The field of the request that the refusal is about, or `request`.
    package var field: String
    /// Completes the sentence "`field` ...". It ends with the rule's name in parentheses, or contains it.
    package var text: String

    package init(_ rule: String, _ field: String, _ text: String) {
        (self.rule, self.field, self.text) = (rule, field, text)
    }
}

extension Policy {
    /// Explains what the policy does with a request at this time. Counts of windows are not known here.
    package func decision(for request: StartRequest, at now: Timestamp) -> PolicyDecision {
        let refusal = refusal(of: request)
        var decision = PolicyDecision(rule: refusal?.rule ?? leave(for: request), refusal: refusal)
        guard refusal == nil else { return decision }
        decision.limits = limits.filter { $0.counts(request) }.map(\.name)
        decision.maintenance = hold(on: request, at: now)
        decision.isDryRun = isDryRun
        return decision
    }

    /// Why the policy refuses the request; nil where it does not. A rule that denies comes before everything that
    /// allows.
    package func refusal(of request: StartRequest) -> PolicyRefusal? {
        for rule in rules where rule.effect == .deny {
            if let field = rule.field(of: request) {
                return PolicyRefusal(rule.name, field, "is refused by the policy (\(rule.name))")
            }
        }
        if let projects, !projects.matches(request.projectID) {
            return PolicyRefusal("projects", "project_id", "is not among the policy's projects (projects)")
        }
        if let plugins, !plugins.matches(request.pluginCode) {
            return PolicyRefusal("plugins", "plugin_code", "is not among the policy's plugins (plugins)")
        }
        if request.operateAll, !allowOperateAll, firstRule(allowing: request, where: \.operateAll) == nil {
            return PolicyRefusal(
                "allow-operate-all", "operate_all", "is not allowed by the policy (allow-operate-all)")
        }
        if request.isAllGranted, !allowAllGrantedEnterpriseProjects,
            firstRule(allowing: request, where: \.allGrantedEnterpriseProjects) == nil
        {
            return PolicyRefusal(
                "allow-all-granted-eps", "enterprise_project_id",
                "must not be all_granted_eps: not allowed by the policy (allow-all-granted-eps)")
        }
        if deniesByDefault, firstRule(allowing: request) == nil {
            return PolicyRefusal("default", "request", "matches no rule of the policy that allows it (default)")
        }
        if let maximumHosts, request.hostIDs.count > maximumHosts {
            return PolicyRefusal.tooManyHosts(maximumHosts, rule: "max-hosts")
        }
        for limit in limits {
            guard case .hostsPerRequest(let most) = limit.measure, request.hostIDs.count > most,
                limit.selector.matches(request, restricts: true)
            else { continue }
            return PolicyRefusal.tooManyHosts(most, rule: limit.name)
        }
        return nil
    }

    /// The rule because of which an allowed request is allowed.
    private func leave(for request: StartRequest) -> String {
        if request.operateAll {
            return firstRule(allowing: request, where: \.operateAll) ?? "allow-operate-all"
        }
        if request.isAllGranted {
            return firstRule(allowing: request, where: \.allGrantedEnterpriseProjects) ?? "allow-all-granted-eps"
        }
        return firstRule(allowing: request) ?? "default"
    }

    /// The first rule that allows the request and gives this leave.
    private func firstRule(allowing request: StartRequest, where gives: (Rule) -> Bool = { _ in true }) -> String? {
        rules.first { $0.effect == .allow && gives($0) && $0.selector.matches(request, restricts: false) }?.name
    }
}

extension PolicyRefusal {
    fileprivate static func tooManyHosts(_ most: Int, rule: String) -> Self {
        Self(rule, "host_id_list", "must name at most \(most) hosts under the policy (\(rule))")
    }
}

extension Policy.Rule {
    /// The field because of which this rule refuses the request; nil where the rule does not match.
    fileprivate func field(of request: StartRequest) -> String? {
        guard selector.matches(request, restricts: true), !operateAll || request.operateAll,
            !allGrantedEnterpriseProjects || request.isAllGranted
        else { return nil }
        if let hosts, !request.operateAll {
            return request.hostIDs.contains(where: hosts.matches) ? "host_id_list" : nil
        }
        if operateAll || hosts != nil { return "operate_all" }
        if allGrantedEnterpriseProjects || selector.enterpriseProjects != nil { return "enterprise_project_id" }
        if selector.producers != nil { return "requested_by" }
        if selector.plugins != nil { return "plugin_code" }
        return selector.projects != nil ? "project_id" : "request"
    }
}

extension Policy.Limit {
    /// Whether the limit counts the request in a window.
    func counts(_ request: StartRequest) -> Bool {
        switch measure {
        case .hostsPerRequest: false
        case .hosts: !request.operateAll && selector.matches(request, restricts: true)
        case .requests: selector.matches(request, restricts: true)
        }
    }
}

extension StartRequest {
    /// The value of `enterprise_project_id` that stands for every enterprise project of the worker's user.
    static let allGranted = "all_granted_eps"

    var isAllGranted: Bool { enterpriseProjectID == Self.allGranted }
}
