/// What the operator allows requests to ask for. The default allows every project and plugin, but no action on
/// hosts that a request does not name. `docs/operations.md` has the meaning of each key of the file.
package struct Policy: Equatable, Sendable {
    /// Whether `operate_all` is allowed in every project and for every plugin.
    package var allowOperateAll = false
    /// Whether `enterprise_project_id` may be `all_granted_eps` in every project and for every plugin.
    package var allowAllGrantedEnterpriseProjects = false
    /// The allowed projects; nil allows all.
    package var projects: NamePatterns?
    /// The allowed plugins; nil allows all.
    package var plugins: NamePatterns?
    /// The maximum number of hosts that one request may name; nil is no limit other than the record's size.
    package var maximumHosts: Int?
    /// Whether a request that no rule matches is refused.
    package var deniesByDefault = false
    /// In the order of the file. The first one that matches is the one that a decision names.
    package var rules: [Rule] = []
    package var limits: [Limit] = []
    package var maintenance: [Maintenance] = []
    /// Whether no call is made. Each request that would be called gets a result that tells what would have been done.
    package var isDryRun = false

    package init() {}

    /// Refuses nothing. For those who read requests without knowing the worker's policy.
    package static let unrestricted: Policy = {
        var policy = Policy()
        (policy.allowOperateAll, policy.allowAllGrantedEnterpriseProjects) = (true, true)
        return policy
    }()

    /// Names that a rule of the file cannot have, because decisions use them for the policy's own keys.
    package static let reservedNames: Set<String> = [
        "default", "projects", "plugins", "max-hosts", "allow-operate-all", "allow-all-granted-eps", "dry-run",
    ]

    /// Allows or refuses the requests that it matches.
    package struct Rule: Equatable, Sendable {
        package enum Effect: String, CaseIterable, Sendable { case allow, deny }

        package var name: String
        package var effect: Effect
        package var selector = Selector()
        /// A rule that refuses: matches only requests that name one of these hosts, and every `operate_all`.
        package var hosts: NamePatterns?
        /// A rule that allows: gives leave for `operate_all`. One that refuses: matches only `operate_all`.
        package var operateAll = false
        /// The same for `all_granted_eps`.
        package var allGrantedEnterpriseProjects = false

        package init(_ name: String, _ effect: Effect) { (self.name, self.effect) = (name, effect) }
    }

    /// Bounds how much requests may ask for. `operate_all` names no hosts, so only `.requests` counts it.
    package struct Limit: Equatable, Sendable {
        package enum Measure: Equatable, Sendable {
            /// Hosts that one request may name.
            case hostsPerRequest(Int)
            /// Hosts that the requests for one project may name within any window of this length.
            case hosts(Int, window: Duration)
            /// Requests that one producer may send within any window of this length.
            case requests(Int, window: Duration)
        }

        package var name: String
        package var measure: Measure
        package var selector = Selector()

        package init(_ name: String, _ measure: Measure) { (self.name, self.measure) = (name, measure) }
    }

    /// Which requests something is about. A list that is nil matches every request.
    package struct Selector: Equatable, Sendable {
        package var projects: NamePatterns?
        /// A request without an enterprise project counts as `0`, as it does at HSS.
        package var enterpriseProjects: NamePatterns?
        package var plugins: NamePatterns?
        package var producers: NamePatterns?

        package init() {}

        package func matches(_ request: StartRequest, restricts: Bool) -> Bool {
            matches(request.projectID, request.enterpriseProjectID, request.pluginCode, restricts: restricts)
                && producers?.matches(request.producer ?? "") ?? true
        }

        /// `restricts`: whether a match takes something away. Then `all_granted_eps` matches every list of enterprise
        /// projects, because it may reach each of them.
        func matches(_ project: String, _ enterpriseProject: String?, _ plugin: String, restricts: Bool) -> Bool {
            guard projects?.matches(project) ?? true, plugins?.matches(plugin) ?? true else { return false }
            guard let enterpriseProjects else { return true }
            return restricts && enterpriseProject == StartRequest.allGranted
                || enterpriseProjects.matches(enterpriseProject ?? "0")
        }
    }
}
