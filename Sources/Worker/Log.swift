package import Core

/// The keys of log fields, each defined once.
package enum LogKey: String {
    case key, project = "project_id", plugin = "plugin_code", position, status, code, category, detail, attempts
    case call, hosts, requests, latency = "latency_ms", took = "took_ms", nextIn = "next_in_ms", triedIn = "in_ms"
    case from = "from_offset", offset, end = "end_offset"
    case partition, partitions, count, bytes, limit, window = "window_ms", reason, error,
        facility, topic, group
    case previous, skipped, address, url, remedy, skew = "skew_s", signal, version, expected, actual
}

/// Writes structured lines to standard error: a constant message and its fields. Lines are buffered and passed to the
/// writer thread once per turn of the loop.
package struct Log {
    package enum Level: String, CaseIterable, Comparable, Sendable {
        case debug, info, warning, error

        package static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }
        private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    package enum Format: String, CaseIterable, Sendable { case text, json }

    package let level: Level
    private let format: Format
    private var buffer: [UInt8] = []
    private let output: LogOutput

    package init(level: Level, format: Format) {
        self.init(level: level, format: format, output: .standardError)
    }

    init(level: Level, format: Format, output: LogOutput) {
        self.level = level
        self.format = format
        self.output = output
    }

    /// Lines dropped so far because standard error accepted no more.
    var dropped: Int { output.dropped }

    package mutating func write(
        _ level: Level, _ message: StaticString, _ fields: @autoclosure () -> [(LogKey, JSON)] = []
    ) {
        guard level >= self.level else { return }
        append(level, "\(message)", fields())
        if buffer.count >= 64 << 10 { flush() }
    }

    private mutating func append(_ level: Level, _ message: String, _ fields: [(LogKey, JSON)]) {
        let time = Clock.wall.description
        switch format {
        case .json:
            let members: [JSON.Member] =
                [
                    .init("time", .string(time)), .init("level", .string(level.rawValue)),
                    .init("message", .string(message)),
                ]
                + fields.map { .init($0.0.rawValue, $0.1) }
            append(JSON.object(members))
        case .text:
            let name = level.rawValue.uppercased()
            buffer.append(contentsOf: "\(time) \(name)\(name.utf8.count < 5 ? " " : "") \(message)".utf8)
            for (key, value) in fields {
                buffer.append(contentsOf: " \(key.rawValue)=".utf8)
                if case .string(let text) = value, Self.isPlain(text) {
                    buffer.append(contentsOf: text.utf8)
                } else {
                    append(value)
                }
            }
        }
        buffer.append(UInt8(ascii: "\n"))
    }

    private mutating func append(_ value: JSON) {
        let bytes = value.bytes
        if bytes.allSatisfy({ $0 < 0x7F }) {
            buffer += bytes
        } else {
            buffer += String(decoding: bytes, as: UTF8.self).escapingDeceptive.utf8
        }
    }

    /// Whether a text is safe without quotation marks, so that it cannot forge another field or line.
    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") }
    }

    /// Passes the buffered lines to the writer thread.
    package mutating func flush() {
        let untold = output.takeUntold()
        if untold > 0 { append(.warning, "log lines dropped", [(.count, .integer(Int64(untold)))]) }
        guard !buffer.isEmpty else { return }
        output.put(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    /// Waits before an exit until all lines are written, but for at most 2 s.
    package mutating func finish() {
        flush()
        output.drain(within: .seconds(2))
    }
}
