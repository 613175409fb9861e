internal import Core

/// A fault on demand, written as `KIND[:CONDITION[,CONDITION...]]`.
package struct Fault: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// The call is refused with this HTTP status.
        case status(Int)
        /// The call is refused with HTTP 400 and this code.
        case code(String)
        /// The answer is a 502 with an HTML page as body.
        case html
        /// The call is refused with a code, a text and a request id that repeat the request's headers and body, secrets
        /// included.
        case echo
        /// The answer is delayed by this time.
        case slow(Duration)
        /// The call is never answered.
        case hang
        /// The connection breaks before the sandbox does anything.
        case reset
        /// The sandbox does what the call asks, then the connection breaks.
        case lost
    }

    package var kind: Kind
    /// The fault strikes this many times; nil is no limit.
    package var count: Int?
    /// The fraction of calls that the fault strikes.
    package var rate: Double?
    /// The fault strikes each n-th call.
    package var every: Int?
    /// The fault strikes only calls that name this host.
    package var host: String?
    package var project: String?
    package var plugin: String?
    /// The API whose calls the fault strikes: `start`, `status` or `token`; nil is `start`.
    package var api: String?

    package static let help =
        "KIND[:CONDITION,...]; KIND is an HTTP status (429, 503), a code (HSS.1006), html, echo, slow=DURATION, hang, reset or "
        + "lost (done, answer lost); CONDITION is count=N, rate=0..1, every=N, host=ID, project=ID, plugin=CODE, "
        + "api=start|status|token"

    package struct ParseError: Error, CustomStringConvertible {
        package var description: String
    }

    package init(parsing text: String) throws(ParseError) {
        let colon = text.firstIndex(of: ":") ?? text.endIndex
        kind = try Self.kind(String(text[..<colon]))
        guard colon < text.endIndex else { return }
        for condition in text[text.index(after: colon)...].split(separator: ",", omittingEmptySubsequences: false) {
            let parts = condition.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw ParseError(description: "the condition \"\(condition)\" is not NAME=VALUE")
            }
            let (name, value) = (parts[0], parts[1])
            func number() throws(ParseError) -> Int {
                guard let number = Int(value), number > 0 else {
                    throw ParseError(description: "\(name)=\(value) must be a whole number above 0")
                }
                return number
            }
            switch name {
            case "count": count = try number()
            case "every": every = try number()
            case "rate":
                guard let part = Double(value), (0...1).contains(part) else {
                    throw ParseError(description: "rate=\(value) must be from 0 to 1")
                }
                rate = part
            case "host": host = value
            case "project": project = value
            case "plugin": plugin = value
            case "api":
                guard ["start", "status", "token"].contains(value) else {
                    throw ParseError(description: "api=\(value) must be start, status or token")
                }
                api = value
            default:
                throw ParseError(
                    description: "\"\(name)\" is not a condition (count, rate, every, host, project, plugin, api)")
            }
        }
    }

    private static func kind(_ text: String) throws(ParseError) -> Kind {
        switch text {
        case "html": return .html
        case "echo": return .echo
        case "hang": return .hang
        case "reset": return .reset
        case "lost": return .lost
        default: break
        }
        if let status = Int(text), (300...599).contains(status) { return .status(status) }
        if text.hasPrefix("HSS.") || text.hasPrefix("APIGW.") || text.hasPrefix("APIG.") { return .code(text) }
        if text.hasPrefix("slow=") {
            let value = text.dropFirst(5)
            // At most a day. That is longer than any wait, and far below what a clock can hold.
            if value.hasSuffix("ms"), let number = Int(value.dropLast(2)), (0...86_400_000).contains(number) {
                return .slow(.milliseconds(number))
            }
            if value.hasSuffix("s"), let number = Int(value.dropLast(1)), (0...86_400).contains(number) {
                return .slow(.seconds(number))
            }
        }
        throw ParseError(description: "\"\(text)\" is not a fault: \(help)")
    }

    /// Whether the fault strikes this call. Counts each call that meets its conditions.
    mutating func strikes(
        api: String, project: String, plugin: String?, hosts: [String], seen: inout Int,
        using generator: inout SplitMix64
    ) -> Bool {
        guard (self.api ?? "start") == api, self.project.map({ $0 == project }) ?? true,
            self.plugin.map({ $0 == plugin }) ?? true,
            host.map(hosts.contains) ?? true, count.map({ $0 > 0 }) ?? true
        else { return false }
        seen += 1
        if let every, seen % every != 0 { return false }
        if let rate, Double.random(in: 0..<1, using: &generator) >= rate { return false }
        count = count.map { $0 - 1 }
        return true
    }
}
