/// What the operator allows requests to ask for. The default allows every project and plugin, and nothing that acts
/// on hosts that a request does not name.
package struct Policy: Equatable, Sendable {
    /// Whether `operate_all` is let through.
    package var allowOperateAll = false
    /// Whether `enterprise_project_id` may be `all_granted_eps`.
    package var allowAllGrantedEnterpriseProjects = false
    /// Projects that may be acted on; nil is all.
    package var projects: Set<String>?
    /// Plugins that may be started; nil is all.
    package var plugins: Set<String>?
    /// Most hosts that one request may name; nil is no limit but the record's size.
    package var maximumHosts: Int?

    package init() {}
}
