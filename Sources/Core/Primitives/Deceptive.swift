extension Unicode.Scalar {
    /// Whether the scalar moves a terminal's cursor, ends a line, or changes the direction of the text after it, so
    /// that the display differs from the text. These are the C0, DEL and C1 controls, the line and paragraph
    /// separators, and Unicode's bidirectional controls (UAX #9).
    package var isDeceptive: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

extension String {
    /// The same text with each deceptive character written as `\uXXXX`, as in a JSON string.
    package var escapingDeceptive: String {
        guard unicodeScalars.contains(where: \.isDeceptive) else { return self }
        var out = ""
        for scalar in unicodeScalars {
            if scalar.isDeceptive {
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            } else {
                out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
