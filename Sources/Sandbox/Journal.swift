internal import Core

/// The calls that the sandbox received, so that a test can check what really arrived.
struct Journal {
    struct Entry {
        var number: Int
        var arrived: Timestamp
        var api: String
        var target: String
        var project = ""
        var enterpriseProject: String?
        var plugin = ""
        var operateAll = false
        var hosts: [String] = []
        var user = ""
        /// The worker that called, from `User-Agent: plugin-starter/INSTANCE`.
        var worker = ""
        var status = 0
        var code: String?
        var fault = false
        var requestID = ""

        var json: JSON {
            var members: [JSON.Member] = [
                .init("number", .integer(Int64(number))), .init("time", .integer(arrived.milliseconds)),
                .init("api", .string(api)), .init("project_id", .string(project)),
            ]
            if let enterpriseProject { members.append(.init("enterprise_project_id", .string(enterpriseProject))) }
            members += [
                .init("plugin_code", .string(plugin)), .init("operate_all", .bool(operateAll)),
                .init("hosts", .array(hosts.map(JSON.string))), .init("user", .string(user)),
                .init("worker", .string(worker)),
                .init("http_status", .integer(Int64(status))),
            ]
            if let code { members.append(.init("error_code", .string(code))) }
            members += [
                .init("fault", .bool(fault)), .init("request_id", .string(requestID)), .init("target", .string(target)),
            ]
            return .object(members)
        }
    }

    private(set) var entries: [Entry] = []
    private(set) var dropped = 0
    private static let capacity = 300_000

    mutating func append(_ entry: Entry) {
        if entries.count >= Self.capacity { dropped += 1 } else { entries.append(entry) }
    }

    mutating func clear() {
        entries = []
        dropped = 0
    }

    var lines: [UInt8] {
        var out: [UInt8] = []
        for entry in entries {
            out += entry.json.bytes
            out.append(UInt8(ascii: "\n"))
        }
        return out
    }

    /// The highest number of counted calls of one API within any window of this length.
    func mostInWindow(_ window: Duration, api: String) -> Int {
        let times = entries.filter { $0.api == api && $0.status != 401 && $0.status != 429 }.map(\.arrived)
        var (most, start) = (0, 0)
        for end in times.indices {
            while times[end] - times[start] >= window { start += 1 }
            most = max(most, end - start + 1)
        }
        return most
    }
}
