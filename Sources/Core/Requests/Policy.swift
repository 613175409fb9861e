/// What the operator allows requests to ask for. The default allows every project and plugin, but no action on
/// hosts that a request does not name.
package struct Policy: Equatable, Sendable {
    /// Whether `operate_all` is allowed.
    package var allowOperateAll = false
    /// Whether `enterprise_project_id` may be `all_granted_eps`.
    package var allowAllGrantedEnterpriseProjects = false
    /// The allowed projects; nil allows all.
    package var projects: Set<String>?
    /// The allowed plugins; nil allows all.
    package var plugins: Set<String>?
    /// The maximum number of hosts that one request may name; nil is no limit other than the record's size.
    package var maximumHosts: Int?

    package init() {}
}
