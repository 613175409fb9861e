package import Core
package import HTTP

/// Parses an HTTP answer into a `Reply`, in every observed format of HSS, IAM and the gateway in front of them.
package enum ReplyParser {
    /// What the rows of an answer's list are.
    package enum List: Sendable { case hosts, plugins }

    /// `list` is what the answer must hold a list of. `redactor` removes secrets from the server's texts before
    /// anything is cut.
    package static func reply(_ completion: HTTPCompletion, list: List? = nil, redactor: Redactor = Redactor())
        -> Reply
    {
        func cut(_ text: String, _ bytes: Int) -> String { Self.cut(redactor.clean(text), bytes) }
        var reply = Reply()
        reply.latency = completion.latency
        if let failure = completion.failure {
            reply.transport = failure
            return reply
        }
        reply.httpStatus = completion.status
        reply.requestID = completion.header("x-request-id").map { cut($0, 256) }
        reply.serverDate = completion.header("date").flatMap(Timestamp.init(httpDate:))
        reply.retryAfter = completion.header("retry-after").flatMap { retryAfter($0, reply.serverDate) }
        for name in ["x-apig-ratelimit-user", "x-apig-ratelimit-api"] where reply.rateLimit == nil {
            reply.rateLimit = completion.header(name).flatMap(rateLimit)
        }
        let json = (try? JSON(parsing: completion.body)).flatMap { $0.isObject ? $0 : nil }
        if reply.isSuccess {
            switch list {
            case .hosts where !(json.map { rows($0, into: &reply) } ?? false):
                // Accepted as an answer, it would report every host as unknown.
                reply.transport = .lost("no complete list of hosts in the answer")
            case .plugins where !(json.map { plugins($0, into: &reply) } ?? false):
                reply.transport = .lost("no list of plugins in the answer")
            default: break
            }
            return reply
        }
        if let json {
            error(json, into: &reply, cut)
        } else if !completion.body.isEmpty {
            reply.errorMessage = cut(String(decoding: completion.body, as: UTF8.self), 1024)
        }
        if completion.status == 429, let named = reply.errorMessage.flatMap(rateLimit) { reply.rateLimit = named }
        return reply
    }

    /// Finds `error_code`, `errorCode` or `code`, and their messages, at the top level or one level down.
    private static func error(_ json: JSON, into reply: inout Reply, _ cut: (String, Int) -> String) {
        var places = [json]
        if case .object(let members) = json { places += members.map(\.value).filter(\.isObject) }
        for place in places where reply.errorCode == nil {
            for name in ["error_code", "errorCode", "code"] where reply.errorCode == nil {
                switch place[name] {
                case .string(let code) where !code.isEmpty: reply.errorCode = cut(code, 64)
                case .integer(let code): reply.errorCode = "\(code)"
                default: break
                }
            }
            for name in ["error_msg", "errorMsg", "message", "error_description"] where reply.errorMessage == nil {
                reply.errorMessage = place[name]?.string.map { cut($0, 1024) }
            }
            if let id = place["request_id"]?.string, reply.requestID == nil { reply.requestID = cut(id, 256) }
        }
        if reply.errorCode == nil && reply.errorMessage == nil {
            reply.errorMessage = cut(String(decoding: json.bytes, as: UTF8.self), 1024)
        }
    }

    /// Returns false if the list is missing or incomplete.
    private static func rows(_ json: JSON, into reply: inout Reply) -> Bool {
        guard let list = json["data_list"]?.array else { return false }
        reply.hosts = list.prefix(200).compactMap { row in
            guard let id = row["host_id"]?.string else { return nil }
            return HostStatus(
                hostID: id, pluginStatus: row["plugin_status"]?.string ?? "",
                agentStatus: row["agent_status"]?.string ?? "")
        }
        reply.totalHosts = json["total_num"]?.integer.map { Int(clamping: $0) } ?? reply.hosts.count
        return reply.totalHosts <= reply.hosts.count
    }

    /// Returns false if there is no list. An unknown `display_mode` allows all operations.
    private static func plugins(_ json: JSON, into reply: inout Reply) -> Bool {
        guard let list = json["data_list"]?.array else { return false }
        reply.plugins = list.prefix(1000).compactMap { row in
            guard let code = row["code"]?.string else { return nil }
            let display = row["display_mode"]?.integer.flatMap(ListedPlugin.Display.init(rawValue:))
            return ListedPlugin(code: cut(code, 64), display: display ?? .allOperations)
        }
        reply.totalPlugins = json["total_num"]?.integer.map { Int(clamping: $0) } ?? reply.plugins.count
        return true
    }

    /// Cuts the text to at most `bytes` bytes, at a character boundary. Replaces control and bidirectional characters
    /// with spaces.
    static func cut(_ text: String, _ bytes: Int) -> String {
        var out = ""
        var count = 0
        for scalar in text.unicodeScalars {
            let clean = scalar.isDeceptive ? " " as Unicode.Scalar : scalar
            count += String(clean).utf8.count
            if count > bytes { break }
            out.unicodeScalars.append(clean)
        }
        return out
    }

    /// The longest time that an answer can stop calls. A longer value from a faulty answer would stop them unnoticed.
    /// After this time one more call shows whether the limit still applies.
    static let longestHold: Duration = .seconds(900)

    /// Parses a number of seconds, or a date that is compared with the answer's own date.
    static func retryAfter(_ text: String, _ serverDate: Timestamp?) -> Duration? {
        if let seconds = Int(text), seconds >= 0 { return min(.seconds(min(seconds, 86_400)), longestHold) }
        guard let date = Timestamp(httpDate: text), let serverDate, date >= serverDate else { return nil }
        return min(date - serverDate, longestHold)
    }

    /// Parses `... limit:5,time:1 minute` in a message, or `remain:9,limit:10,time:10 second` in a header. A window
    /// longer than `longestHold` is cut to it, with a proportional number of calls, but at least one.
    static func rateLimit(_ text: String) -> RateLimit? {
        guard let limit = number(after: "limit:", in: text), let time = number(after: "time:", in: text),
            limit.value > 0, time.value > 0
        else { return nil }
        let unit = time.rest.drop { $0 == " " }.lowercased()
        let seconds =
            unit.hasPrefix("second")
            ? 1
            : unit.hasPrefix("minute")
                ? 60
                : unit.hasPrefix("hour")
                    ? 3600
                    : unit.hasPrefix("day") ? 86_400 : 0
        guard seconds > 0 else { return nil }
        let window: Duration = .seconds(time.value * seconds)
        guard window > longestHold else { return RateLimit(calls: limit.value, window: window) }
        return RateLimit(calls: max(1, Int(Double(limit.value) * (longestHold / window))), window: longestHold)
    }

    private static func number(after name: String, in text: String) -> (value: Int, rest: Substring)? {
        // Use the last match, because a message may contain "ratelimit" earlier.
        var found: (Int, Substring)?
        var rest = text[...]
        while let start = rest.firstIndex(of: name.first ?? " ") {
            rest = rest[start...]
            if rest.hasPrefix(name) {
                let after = rest.dropFirst(name.count)
                let digits = after.prefix { $0.isASCII && $0.isNumber }
                if let value = Int(digits.prefix(6)) { found = (value, after.dropFirst(digits.count)) }
            }
            rest = rest.dropFirst()
        }
        return found
    }
}

extension JSON {
    fileprivate var isObject: Bool {
        if case .object = self { true } else { false }
    }
}
