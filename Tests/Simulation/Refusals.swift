import Core

/// Counts how often in a row the server refuses the credential. Six refusals in a row lock the key.
struct Refusals {
    private var inARow: [Int: [Uptime]] = [:]

    /// Records an answer to a member. Returns the rule that the answer breaks, or nil.
    mutating func take(_ reply: Reply, of member: Int, at time: Uptime) -> String? {
        guard reply.httpStatus == 401 else {
            // Without an answer from HSS itself it is not certain that HSS saw the call.
            if reply.httpStatus == 200 || reply.httpStatus == 400 { inARow[member] = [] }
            return nil
        }
        let recent = (inARow[member] ?? []).filter { time - $0 < .seconds(300) } + [time]
        inARow[member] = recent
        return recent.count > 3 ? "\(member) is refused \(recent.count) times in a row in five minutes" : nil
    }
}

extension World.Sent {
    var project: String {
        switch self {
        case .start(let call): call.projectID
        case .status(let query): query.projectID
        }
    }

    var plugin: String {
        switch self {
        case .start(let call): call.pluginCode
        case .status(let query): query.pluginCode
        }
    }
}
