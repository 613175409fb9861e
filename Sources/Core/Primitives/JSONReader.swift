extension JSON {
    /// Why a text is not JSON, and the zero-based byte offset of the fault.
    package struct SyntaxError: Error, Equatable, Sendable, CustomStringConvertible {
        package let message: String
        package let offset: Int

        package var description: String { "\(message) at byte \(offset)" }
    }

    /// How deep arrays and objects may nest. This is far more than any request needs, and far less
    /// than would overflow the stack.
    package static let maximumDepth = 64

    /// Reads one JSON text, which only white space may surround. Refuses an object in which a name appears twice.
    package init(parsing bytes: [UInt8]) throws(SyntaxError) {
        var reader = JSONReader(bytes: bytes)
        reader.skipSpace()
        self = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.index == bytes.count else { throw reader.error("text after the end of the JSON value") }
    }
}

/// A recursive descent parser over the bytes. `JSON.maximumDepth` bounds its depth.
private struct JSONReader {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    func error(_ message: String) -> JSON.SyntaxError { .init(message: message, offset: index) }

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    mutating func value(depth: Int) throws(JSON.SyntaxError) -> JSON {
        guard depth <= JSON.maximumDepth else { throw error("nested deeper than \(JSON.maximumDepth) levels") }
        switch current {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
        case nil: throw error("the text ends where a value is expected")
        default: throw error("not a JSON value")
        }
    }

    private mutating func object(depth: Int) throws(JSON.SyntaxError) -> JSON {
        var members: [JSON.Member] = []
        var names: Set<String> = []  // filled only where an object is too wide for a look along its members
        index += 1
        skipSpace()
        if current == UInt8(ascii: "}") {
            index += 1
            return .object([])
        }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw error("expected a member name in quotes") }
            let start = index
            let name = try string()
            if members.count == 16 { names = Set(members.map(\.name)) }
            let isRepeated =
                members.count < 16 ? members.contains { $0.name == name } : !names.insert(name).inserted
            guard !isRepeated else {
                index = start
                // Counts scalars, because one character can be as long as the text.
                throw error("member \"\(String(name.unicodeScalars.prefix(64)))\" appears twice")
            }
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw error("expected ':' after a member name") }
            index += 1
            skipSpace()
            members.append(.init(name, try value(depth: depth + 1)))
            skipSpace()
            switch current {
            case UInt8(ascii: ","): index += 1
            case UInt8(ascii: "}"):
                index += 1
                return .object(members)
            default: throw error("expected ',' or '}' in an object")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSON.SyntaxError) -> JSON {
        var elements: [JSON] = []
        index += 1
        skipSpace()
        if current == UInt8(ascii: "]") {
            index += 1
            return .array([])
        }
        while true {
            skipSpace()
            elements.append(try value(depth: depth + 1))
            skipSpace()
            switch current {
            case UInt8(ascii: ","): index += 1
            case UInt8(ascii: "]"):
                index += 1
                return .array(elements)
            default: throw error("expected ',' or ']' in an array")
            }
        }
    }

    private mutating func literal(_ word: StaticString, _ value: JSON) throws(JSON.SyntaxError) -> JSON {
        let start = index
        for byte in "\(word)".utf8 {
            guard current == byte else {
                index = start
                throw error("not a JSON value")
            }
            index += 1
        }
        return value
    }

    private mutating func number() throws(JSON.SyntaxError) -> JSON {
        let start = index
        if current == UInt8(ascii: "-") { index += 1 }
        let firstDigit = index
        guard skipDigits() > 0 else { throw error("a number needs a digit") }
        if bytes[firstDigit] == UInt8(ascii: "0"), index > firstDigit + 1 {
            throw error("a number with a leading zero")
        }
        var isWhole = true
        if current == UInt8(ascii: ".") {
            isWhole = false
            index += 1
            guard skipDigits() > 0 else { throw error("a fraction needs a digit") }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isWhole = false
            index += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { index += 1 }
            guard skipDigits() > 0 else { throw error("an exponent needs a digit") }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWhole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw error("a number out of range") }
        return .number(value)
    }

    private mutating func skipDigits() -> Int {
        let start = index
        while let byte = current, (48...57).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func string() throws(JSON.SyntaxError) -> String {
        index += 1
        let start = index
        // The common case has no escape and needs one scan and one copy.
        while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { index += 1 }
        if current == UInt8(ascii: "\"") {
            defer { index += 1 }
            return try text(bytes[start..<index])
        }
        var out = Array(bytes[start..<index])
        while true {
            switch current {
            case nil: throw error("an unterminated string")
            case UInt8(ascii: "\""):
                defer { index += 1 }
                return try text(out[...])
            case UInt8(ascii: "\\"):
                index += 1
                try escape(into: &out)
            case .some(0..<0x20): throw error("a control character in a string")
            case .some(let byte):
                out.append(byte)
                index += 1
            }
        }
    }

    private func text(_ slice: ArraySlice<UInt8>) throws(JSON.SyntaxError) -> String {
        guard let text = String(validating: slice, as: UTF8.self) else { throw error("invalid UTF-8 in a string") }
        return text
    }

    private mutating func escape(into out: inout [UInt8]) throws(JSON.SyntaxError) {
        guard let byte = current else { throw error("an unterminated string") }
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(0x08)
        case UInt8(ascii: "f"): out.append(0x0C)
        case UInt8(ascii: "n"): out.append(0x0A)
        case UInt8(ascii: "r"): out.append(0x0D)
        case UInt8(ascii: "t"): out.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexUnit()
            if (0xD800..<0xDC00).contains(code) {
                guard current == UInt8(ascii: "\\"), index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "u")
                else { throw error("an unpaired surrogate") }
                index += 2
                let low = try hexUnit()
                guard (0xDC00..<0xE000).contains(low) else { throw error("an unpaired surrogate") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw error("an unpaired surrogate") }
            out.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default: throw error("an unknown escape in a string")
        }
    }

    private mutating func hexUnit() throws(JSON.SyntaxError) -> UInt32 {
        guard index + 4 <= bytes.count else { throw error("an unterminated string") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue, bytes[index] < 128 else {
                throw error("\\u needs four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }
}
