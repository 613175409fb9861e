extension Record {
    /// The record's value with another priority. All other bytes stay as they are. The value is returned unchanged where
    /// the record is not a valid request, because it would then become another record than the one that was rejected.
    package func value(withPriority priority: Priority, _ decoder: RequestDecoder) -> [UInt8]? {
        guard let value, case .success(let request) = decoder.decode(self), request.priority != priority else {
            return value
        }
        // A schema registry's serializer writes five bytes before the JSON.
        let start = value.count > 5 && value[0] == 0 ? 5 : 0
        var object = JSONObjectText(value, at: start)
        if hasStructuredEvent, let data = object.member("data") { object = JSONObjectText(value, at: data.lowerBound) }
        let text = Array("\"\(priority.rawValue)\"".utf8)
        if let place = object.member("priority") {
            return Array(value[..<place.lowerBound]) + text + value[place.upperBound...]
        }
        let member = Array("\"priority\":".utf8) + text + (object.isEmpty ? [] : [UInt8(ascii: ",")])
        return Array(value[..<object.inside]) + member + value[object.inside...]
    }

    private var hasStructuredEvent: Bool {
        header("content-type")?.lowercased().drop { $0 == " " }.hasPrefix("application/cloudevents") ?? false
    }
}

/// Finds the members of an object in a JSON text that is known to be valid, without changing a byte.
struct JSONObjectText {
    private let bytes: [UInt8]
    /// The offset after the opening brace.
    let inside: Int

    /// `start`: an offset from which only white space comes before the object.
    init(_ bytes: [UInt8], at start: Int) {
        self.bytes = bytes
        inside = (bytes[start...].firstIndex(of: UInt8(ascii: "{")) ?? start) + 1
    }

    var isEmpty: Bool { bytes[skipSpace(inside)...].first == UInt8(ascii: "}") }

    /// The range of the value of the member with this name.
    func member(_ name: String) -> Range<Int>? {
        var index = skipSpace(inside)
        while index < bytes.count, bytes[index] == UInt8(ascii: "\"") {
            let nameEnd = end(ofValueAt: index)
            // The name may be written with escapes.
            let found = try? JSON(parsing: Array(bytes[index..<nameEnd])).string
            let start = skipSpace(skipSpace(nameEnd) + 1)
            let valueEnd = end(ofValueAt: start)
            if let found, ExactText(found) == ExactText(name) { return start..<valueEnd }
            index = skipSpace(skipSpace(valueEnd) + 1)
        }
        return nil
    }

    private func skipSpace(_ index: Int) -> Int {
        var index = index
        while index < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[index]) { index += 1 }
        return index
    }

    private func end(ofValueAt start: Int) -> Int {
        var index = start
        var depth = 0
        var isInText = false
        while index < bytes.count {
            let byte = bytes[index]
            if isInText {
                if byte == UInt8(ascii: "\\") { index += 1 }
                if byte == UInt8(ascii: "\"") { isInText = false }
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInText = true
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return index }
                    depth -= 1
                case UInt8(ascii: ","), UInt8(ascii: ":"), 0x20, 0x0A, 0x0D, 0x09: if depth == 0 { return index }
                default: break
                }
            }
            index += 1
            if depth == 0 && !isInText && [UInt8(ascii: "\""), UInt8(ascii: "}"), UInt8(ascii: "]")].contains(byte) {
                return index
            }
        }
        return bytes.count
    }
}
