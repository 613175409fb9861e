/// Splits a stream of bytes into lines, with their numbers. Empty lines are left out.
package struct RequestLines: Sendable {
    /// The longest line. The longest value that any worker can be set to accept has this size.
    package static let maximumBytes = 16 << 20

    package struct Line: Equatable, Sendable {
        package var number: Int
        package var bytes: [UInt8]

        package init(number: Int, bytes: [UInt8]) {
            self.number = number
            self.bytes = bytes
        }
    }

    private var rest: [UInt8] = []
    private var number = 0

    package init() {}

    /// A line that is not complete and already too long.
    package var isTooLong: Bool { rest.count > Self.maximumBytes }
    /// The number of the line that is not complete.
    package var nextNumber: Int { number + 1 }

    /// The lines that these bytes complete.
    package mutating func take(_ bytes: some Sequence<UInt8>) -> [Line] {
        var lines: [Line] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                end(into: &lines)
            } else {
                rest.append(byte)
            }
        }
        return lines
    }

    /// The last line, where it has no line end.
    package mutating func finish() -> [Line] {
        var lines: [Line] = []
        if !rest.isEmpty { end(into: &lines) }
        return lines
    }

    private mutating func end(into lines: inout [Line]) {
        number += 1
        if rest.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) {
            lines.append(Line(number: number, bytes: rest))
        }
        rest.removeAll(keepingCapacity: true)
    }
}
