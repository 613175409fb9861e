package import Core
internal import Glibc

/// A log's facts, named once.
package enum LogKey: String {
    case key, project = "project_id", plugin = "plugin_code", position, status, code, category, detail, attempts
    case call, hosts, requests, latency = "latency_ms", took = "took_ms", nextIn = "next_in_ms", until = "in_ms"
    case from = "from_offset", offset, end = "end_offset"
    case partition, partitions, count, bytes, limit, window = "window_ms", reason, error,
        facility, topic, group
    case skipped, address, url, remedy, skew = "skew_s", signal, version, expected, actual
}

/// Structured lines on standard error: a constant message and its facts. Lines are gathered and written once a turn.
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
    /// At most so much is gathered; lines beyond are counted, not kept.
    private static let capacity = 1 << 20
    private var dropped = 0

    package init(level: Level, format: Format) {
        self.level = level
        self.format = format
    }

    package mutating func write(
        _ level: Level, _ message: StaticString, _ facts: @autoclosure () -> [(LogKey, JSON)] = []
    ) {
        guard level >= self.level else { return }
        guard buffer.count < Self.capacity else {
            dropped += 1
            return
        }
        append(level, "\(message)", facts())
    }

    private mutating func append(_ level: Level, _ message: String, _ facts: [(LogKey, JSON)]) {
        let time = Clock.wall.description
        switch format {
        case .json:
            let members: [JSON.Member] =
                [
                    .init("time", .string(time)), .init("level", .string(level.rawValue)),
                    .init("message", .string(message)),
                ]
                + facts.map { .init($0.0.rawValue, $0.1) }
            buffer.append(contentsOf: JSON.object(members).bytes)
        case .text:
            let name = level.rawValue.uppercased()
            buffer.append(contentsOf: "\(time) \(name)\(name.utf8.count < 5 ? " " : "") \(message)".utf8)
            for (key, value) in facts {
                buffer.append(contentsOf: " \(key.rawValue)=".utf8)
                if case .string(let text) = value, Self.isPlain(text) {
                    buffer.append(contentsOf: text.utf8)
                } else {
                    buffer.append(contentsOf: value.bytes)
                }
            }
        }
        buffer.append(UInt8(ascii: "\n"))
    }

    /// Whether a text can stand without quotation marks and forge nothing.
    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") }
    }

    /// Writes what was gathered.
    package mutating func flush() {
        if dropped > 0 {
            let count = dropped
            dropped = 0
            append(.warning, "log lines dropped", [(.count, .integer(Int64(count)))])
        }
        guard !buffer.isEmpty else { return }
        unsafe buffer.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = unsafe Glibc.write(2, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                if count < 0 && errno != EINTR { break }
                written += max(0, count)
            }
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
