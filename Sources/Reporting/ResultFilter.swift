package import Core

/// Chooses results. A list that is empty allows everything.
package struct ResultFilter: Sendable {
    package var key: String?
    package var statuses: [String] = []
    package var codes: [String] = []
    package var categories: [String] = []
    package var projectID: String?
    package var pluginCode: String?
    package var hosts: [String] = []

    package init() {}

    package func matches(_ result: JSON) -> Bool {
        func isEqual(_ wanted: String?, _ name: String) -> Bool {
            guard let wanted else { return true }
            return result[name]?.string.map(ExactText.init) == ExactText(wanted)
        }
        return isEqual(key, "idempotency_key") && isEqual(projectID, "project_id") && isEqual(pluginCode, "plugin_code")
            && (statuses.isEmpty || statuses.contains(result["status"]?.string ?? ""))
            && (codes.isEmpty || errors(result, "code").contains(where: codes.contains))
            && (categories.isEmpty || errors(result, "category").contains(where: categories.contains))
            && (hosts.isEmpty || names(result, anyOf: hosts))
    }

    /// A member of the result's error and of the errors of its hosts.
    private func errors(_ result: JSON, _ member: String) -> [String] {
        let all = [result["error"]] + (result["failed_hosts"]?.array ?? []).map { $0["error"] }
        return all.compactMap { $0?[member]?.string }
    }

    private func names(_ result: JSON, anyOf hosts: [String]) -> Bool {
        let failed = (result["failed_hosts"]?.array ?? []).compactMap { $0["host_id"]?.string }
        let named = (result["host_id_list"]?.array ?? []).compactMap(\.string) + failed
        return named.contains { name in hosts.contains { ExactText($0) == ExactText(name) } }
    }
}
