extension Failure {
    /// Every code that the vendor documents. The sources are the HSS API reference, "Error Codes" (all HTTP 400), and
    /// the API signing guide's table for the gateway, whose codes come as `APIGW.nnnn` or `APIG.nnnn`.
    package static let table: [Row] = hss + gateway

    /// The row for a code. A row with a status applies only to answers with that status.
    static func row(code: String, httpStatus: Int?) -> Row? {
        rows(code: code).first { $0.httpStatus == nil || httpStatus == nil || $0.httpStatus == httpStatus }
    }

    /// All rows for a code, in the table's order.
    static func rows(code: String) -> [Row] {
        var code = code[...]
        for prefix in ["APIGW", "APIG"] where code.hasPrefix(prefix + ".") { code = code.dropFirst(prefix.utf8.count) }
        return byCode[String(code)] ?? []
    }

    /// What a status means where the code is missing or unknown.
    package static func row(httpStatus status: Int) -> Row {
        func row(_ category: Category, _ disposition: Disposition, _ scope: Scope, _ title: String) -> Row {
            Row(
                code: "HTTP \(status)", httpStatus: status, category: category, disposition: disposition, scope: scope,
                title: title)
        }
        return switch status {
        case 401: row(.auth, .stop, .credential, "Not authenticated")
        case 403: row(.request, .refuse, .request, "Not permitted")
        case 404: row(.request, .refuse, .request, "Not found")
        case 408: row(.transient, .retry, .service, "Request timed out at the server")
        case 429: row(.throttled, .wait, .credential, "Throttled")
        case 300..<400: row(.request, .refuse, .request, "Redirect, not followed")
        case 400..<500: row(.unknown, .refuse, .request, "Refused")
        case 500...: row(.transient, .retry, .service, "The service failed")
        default: row(.unknown, .retry, .service, "Unexpected HTTP status")
        }
    }

    private static let byCode = Dictionary(grouping: table, by: \.code)

    private static func refused(_ code: String, _ scope: Scope, _ title: String) -> Row {
        Row(
            code: code, httpStatus: nil, category: scope == .host ? .host : .request, disposition: .refuse,
            scope: scope,
            title: title)
    }

    private static func passing(_ code: String, _ scope: Scope, _ title: String, status: Int? = nil) -> Row {
        Row(
            code: code, httpStatus: status, category: .transient, disposition: .retry, scope: scope, title: title)
    }

    private static func unauthenticated(_ code: String, _ title: String) -> Row {
        Row(code: code, httpStatus: nil, category: .auth, disposition: .stop, scope: .credential, title: title)
    }

    private static let hss =
        [
            refused("HSS.0001", .host, "Invalid parameter"),
            refused("HSS.0002", .request, "The request could not be parsed"),
            refused("HSS.0010", .request, "Access denied"),
            refused("HSS.0011", .host, "Resource not found"),
            refused("HSS.0013", .request, "Insufficient permission"),
            refused("HSS.0014", .request, "Quota creation not allowed"),
            passing("HSS.0041", .service, "Query failed"),
            refused("HSS.1001", .host, "The host has no agent"),
            refused("HSS.1002", .request, "No quota left"),
            refused("HSS.1003", .host, "A protected host cannot be ignored"),
            refused("HSS.1004", .request, "Policy query failed"),
            refused("HSS.1005", .request, "Invalid policy"),
            passing("HSS.1006", .host, "The command could not be sent to the agent"),
            passing("HSS.1007", .host, "The agent is offline"),
            refused("HSS.1008", .host, "Host lookup failed"),
        ]
        + (1009...1021).map {
            // The documentation lists these as a group, without a text for each.
            refused("HSS.\($0)", .request, "Web tamper protection, time range, group or policy group refused")
        }

    private static let gateway = [
        refused(".0101", .request, "Unknown API or method"),
        passing(".0103", .service, "Backend missing", status: 500),
        refused(".0103", .request, "Backend missing"),
        passing(".0201", .service, "Backend unavailable", status: 502),
        passing(".0201", .service, "Backend timeout", status: 504),
        refused(".0201", .request, "Bad request, or too large"),
        unauthenticated(".0301", "Wrong signature, key or token"),
        refused(".0302", .request, "Not authorized for the API"),
        unauthenticated(".0303", "Wrong app authentication"),
        unauthenticated(".0305", "Wrong authentication information"),
        refused(".0306", .request, "Access denied"),
        unauthenticated(".0307", "The token must be renewed or belongs to another region"),
        Row(
            code: ".0308", httpStatus: nil, category: .throttled, disposition: .wait, scope: .credential,
            title: "Throttled"),
        refused(".0310", .request, "Project unavailable"),
        refused(".0401", .request, "Client address unknown"),
        refused(".0402", .request, "Client address not allowed"),
        refused(".0501", .request, "Quota used up"),
        refused(".0502", .request, "Frozen"),
        passing(".0601", .service, "Internal error"),
        refused(".0602", .request, "Bad request"),
        passing(".0605", .service, "Name resolution failed"),
        passing(".0606", .service, "Configuration not loaded"),
        refused(".0607", .request, "Protocol not supported"),
        passing(".0610", .service, "No backend"),
        passing(".0613", .service, "IAM unavailable"),
        refused(".0801", .request, "Not available in the region"),
        refused(".0802", .request, "User not allowed in the region"),
    ]
}
