extension Unicode.Scalar {
    /// Whether it moves a terminal's cursor, ends a line, or turns the direction of the text after it, so that what is seen is
    /// not what is there: C0, DEL and C1 controls, line and paragraph separator, and the bidirectional controls of Unicode
    /// (UAX #9).
    package var isDeceptive: Bool {
        switch value {
        case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}

extension String {
    /// The same with `\uXXXX` in place of each deceptive character, as JSON has it within a string.
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
