internal import Core

extension String {
    /// The text without characters that would move a terminal's cursor or reverse the text, because a key can be any
    /// text.
    package var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.isDeceptive ? "?" : $0 }))
    }

    /// The columns that the text takes on a terminal.
    var columns: Int { unicodeScalars.reduce(0) { $0 + $1.columns } }

    /// The text with spaces after it, up to the width.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - columns)) }

    /// The text, cut at the width with an ellipsis if it is longer.
    func cut(to width: Int) -> String {
        guard columns > width else { return self }
        var out = String.UnicodeScalarView()
        var used = 0
        for scalar in unicodeScalars {
            used += scalar.columns
            guard used < width else { break }
            out.append(scalar)
        }
        return String(out) + (width > 0 ? "…" : "")
    }
}

extension Unicode.Scalar {
    /// 0 for what combines with the character before it, 2 for wide characters (Unicode Standard Annex 11, by blocks).
    fileprivate var columns: Int {
        if value < 0x300 { return 1 }
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
