/// Writes a JSON object member by member into one buffer, in the form of `JSON.bytes`. A result is written this way,
/// because a tree of values costs several allocations per member.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []

    init(_ members: (inout JSONWriter) -> Void) {
        bytes.reserveCapacity(1024)
        object(members)
    }

    /// Nil writes nothing.
    mutating func member(_ name: StaticString, _ text: String?) {
        guard let text else { return }
        self.name(name)
        JSON.write(text, into: &bytes)
    }

    /// Nil writes nothing.
    mutating func member(_ name: StaticString, _ number: Int64?) {
        guard let number else { return }
        self.name(name)
        bytes.append(contentsOf: String(number).utf8)
    }

    /// Nil writes nothing.
    mutating func member(_ name: StaticString, _ flag: Bool?) {
        guard let flag else { return }
        self.name(name)
        bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8)
    }

    mutating func member(_ name: StaticString, _ members: (inout JSONWriter) -> Void) {
        self.name(name)
        object(members)
    }

    /// An empty array writes nothing.
    mutating func member<Element>(
        _ name: StaticString, _ elements: [Element], _ write: (inout JSONWriter, Element) -> Void
    ) {
        guard !elements.isEmpty else { return }
        self.name(name)
        bytes.append(UInt8(ascii: "["))
        for element in elements {
            separate(from: UInt8(ascii: "["))
            write(&self, element)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    mutating func text(_ text: String) { JSON.write(text, into: &bytes) }

    mutating func object(_ members: (inout JSONWriter) -> Void) {
        bytes.append(UInt8(ascii: "{"))
        members(&self)
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func name(_ name: StaticString) {
        separate(from: UInt8(ascii: "{"))
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { name in unsafe bytes.append(contentsOf: name) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    /// Writes a comma, except after the opening bracket. No value ends with an opening bracket.
    private mutating func separate(from opening: UInt8) {
        if bytes.last != opening { bytes.append(UInt8(ascii: ",")) }
    }
}
