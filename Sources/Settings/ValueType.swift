package import Core
internal import Glibc

/// Explains why a text is not a valid value.
package struct ValueError: Error {
    package var rule: String
}

/// Parses a setting's text into a value. Flags, environment variables and files share the parser.
package struct ValueType<Value: Sendable>: Sendable {
    /// The placeholder that `--help` shows, such as `DURATION`.
    package let placeholder: String
    /// All valid texts; empty where there are too many.
    var choices: [String] = []
    let parse: @Sendable (String) throws(ValueError) -> Value
}

extension ValueType where Value == String {
    package static let text = ValueType(placeholder: "TEXT") { (text) throws(ValueError) in
        guard !text.isEmpty else { throw ValueError(rule: "must not be empty") }
        return text
    }
    package static let file = ValueType(placeholder: "FILE") { (text) throws(ValueError) in
        guard !text.isEmpty else { throw ValueError(rule: "must name a file") }
        return text
    }
    /// Scheme and authority, nothing more.
    package static let url = ValueType(placeholder: "URL") { (text) throws(ValueError) in
        guard Endpoint(url: text) != nil else {
            throw ValueError(
                rule: "must be http:// or https:// with a host and no path, such as https://hss.example.com")
        }
        return text
    }
    package static func choice(_ names: [String]) -> ValueType {
        ValueType(placeholder: names.joined(separator: "|"), choices: names) { (text) throws(ValueError) in
            guard names.contains(text) else {
                throw ValueError(rule: "must be one of: \(names.joined(separator: ", "))")
            }
            return text
        }
    }
}

extension ValueType where Value == Bool {
    package static let flag = ValueType(placeholder: "") { (text) throws(ValueError) in
        switch text {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0": return false
        default: throw ValueError(rule: "must be true or false")
        }
    }
}

extension ValueType where Value == Int {
    package static func whole(_ range: ClosedRange<Int>) -> ValueType {
        ValueType(placeholder: "N") { (text) throws(ValueError) in
            guard let number = Int(text), range.contains(number) else {
                throw ValueError(rule: "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
    }
    /// Bytes: `262144`, `256KiB`, `64MiB`.
    package static func size(_ range: ClosedRange<Int>) -> ValueType {
        ValueType(placeholder: "SIZE") { (text) throws(ValueError) in
            let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]
            let unit = units.first { text.hasSuffix($0.0) } ?? ("", 1)
            guard let number = Int(text.dropLast(unit.0.count)), number >= 0, number <= Int.max / unit.1,
                range.contains(number * unit.1)
            else {
                throw ValueError(
                    rule:
                        "must be a size from \(range.lowerBound) to \(range.upperBound) bytes, such as 256KiB or 64MiB")
            }
            return number * unit.1
        }
    }
}

extension ValueType where Value == Double {
    /// `0`, `0.5`, `1`
    package static func factor(_ range: ClosedRange<Double>) -> ValueType {
        ValueType(placeholder: "FACTOR") { (text) throws(ValueError) in
            guard let number = Double(text), range.contains(number) else {
                throw ValueError(
                    rule: "must be a number from \(range.lowerBound.formatted) to \(range.upperBound.formatted)")
            }
            return number
        }
    }
}

extension Double {
    /// `4` and not `4.0`.
    fileprivate var formatted: String { self == rounded() ? "\(Int(self))" : "\(self)" }
}

extension ValueType where Value == Duration {
    package static func duration(_ range: ClosedRange<Duration>) -> ValueType {
        ValueType(placeholder: "DURATION") { (text) throws(ValueError) in
            guard let time = Duration(unitText: text) else {
                throw ValueError(rule: "must be a duration such as 250ms, 30s, 5m or 24h")
            }
            guard range.contains(time) else {
                throw ValueError(rule: "must be from \(range.lowerBound.unitText) to \(range.upperBound.unitText)")
            }
            return time
        }
    }
}

/// `5/60s`, or none.
package struct QuotaSetting: Sendable, Equatable {
    package var limit: RateLimit?
}

extension ValueType where Value == QuotaSetting {
    package static let quota = ValueType(placeholder: "CALLS/DURATION|off") { (text) throws(ValueError) in
        if text == "off" { return QuotaSetting(limit: nil) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let calls = Int(parts[0]), (1...1000).contains(calls),
            let window = Duration(unitText: String(parts[1])), window > .zero, window <= .seconds(86_400)
        else { throw ValueError(rule: "must be CALLS/DURATION such as 5/60s, with 1 to 1000 calls, or off") }
        return QuotaSetting(limit: RateLimit(calls: calls, window: window))
    }
}

/// `127.0.0.1:8080`
package struct ListenSetting: Sendable, Equatable {
    package var address: String
    package var port: UInt16

    /// Whether only this machine can reach the address.
    package var isLoopback: Bool { address.hasPrefix("127.") || address == "::1" }
}

/// A listen address, or none.
package struct ListenOrOffSetting: Sendable, Equatable {
    package var listen: ListenSetting?
}

extension ValueType where Value == ListenOrOffSetting {
    package static let listenOrOff = ValueType(placeholder: "HOST:PORT|off") { (text) throws(ValueError) in
        ListenOrOffSetting(listen: text == "off" ? nil : try ValueType<ListenSetting>.listen.parse(text))
    }
}

extension ValueType where Value == ListenSetting {
    package static let listen = ValueType(placeholder: "HOST:PORT") { (text) throws(ValueError) in
        // The colons of an IPv6 address are inside brackets.
        let colon = text.lastIndex(of: ":") ?? text.endIndex
        var host = text[..<colon] == "localhost" ? "127.0.0.1" : String(text[..<colon])
        let isSix = host.hasPrefix("[") && host.hasSuffix("]")
        if isSix { host = String(host.dropFirst().dropLast()) }
        var (four, six) = (in_addr(), in6_addr())
        guard let port = UInt16(text[colon...].dropFirst()), !host.utf8.contains(0),
            unsafe isSix ? inet_pton(AF_INET6, host, &six) == 1 : inet_pton(AF_INET, host, &four) == 1
        else {
            throw ValueError(
                rule: "must be an IPv4 address or an IPv6 address in brackets, and a port, such as 127.0.0.1:8080")
        }
        return ListenSetting(address: host, port: port)
    }
}

/// `name=value`
package struct PropertySetting: Sendable, Equatable {
    package var name: String
    package var value: String
}

/// Whether the text has the form of a librdkafka property name, such as `security.protocol`.
func isPropertyName(_ text: Substring) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy {
            ("a"..."z").contains(Character(UnicodeScalar($0))) || "._0123456789".utf8.contains($0)
        }
}

extension ValueType where Value == PropertySetting {
    package static let property = ValueType(placeholder: "NAME=VALUE") { (text) throws(ValueError) in
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, isPropertyName(parts[0]) else {
            throw ValueError(rule: "must be NAME=VALUE, such as security.protocol=SASL_SSL")
        }
        return PropertySetting(name: String(parts[0]), value: String(parts[1]))
    }
}

/// `name:partitions`
package struct TopicSetting: Sendable, Equatable {
    package var name: String
    package var partitions: Int
}

extension ValueType where Value == TopicSetting {
    package static let topic = ValueType(placeholder: "NAME:PARTITIONS") { (text) throws(ValueError) in
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let count = Int(parts[1]), (1...1000).contains(count) else {
            throw ValueError(rule: "must be a name and 1 to 1000 partitions, such as plugin.start.requests:12")
        }
        return TopicSetting(name: String(parts[0]), partitions: count)
    }
}

extension Duration {
    /// Reads `250ms`, `30s`, `5m`, `24h`; `0` needs no unit.
    package init?(unitText text: String) {
        if text == "0" {
            self = .zero
            return
        }
        let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        guard let unit = units.first(where: { text.hasSuffix($0.0) }), let number = Int64(text.dropLast(unit.0.count)),
            (0...1_000_000_000).contains(number), text.first?.isNumber ?? false
        else { return nil }
        self = .milliseconds(number * unit.1)
    }

    /// The duration in the largest unit that leaves no remainder.
    package var unitText: String {
        let total = milliseconds
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] as [(String, Int64)]
        where total > 0 && total % size == 0 { return "\(total / size)\(unit)" }
        return total == 0 ? "0s" : "\(total)ms"
    }
}
