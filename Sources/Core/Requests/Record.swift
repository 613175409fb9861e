/// The partition and offset of a record.
package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var partition: Int32
    package var offset: Int64

    package init(partition: Int32, offset: Int64) {
        self.partition = partition
        self.offset = offset
    }

    package static func < (a: Self, b: Self) -> Bool { (a.partition, a.offset) < (b.partition, b.offset) }
    package var description: String { "\(partition)/\(offset)" }
}

/// A record's header. Names may repeat, and a value may be null.
package struct Header: Equatable, Sendable {
    package var name: String
    package var value: [UInt8]?

    package init(_ name: String, _ value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    package init(_ name: String, _ text: String) { self.init(name, Array(text.utf8)) }
}

/// One record as received from Kafka.
package struct Record: Equatable, Sendable {
    package var position: Position
    /// When the record was produced (or appended); nil where it has no timestamp.
    package var timestamp: Timestamp?
    package var key: [UInt8]?
    /// Nil is a tombstone.
    package var value: [UInt8]?
    package var headers: [Header]
    /// The length of a value that was too long to be copied. In this case `value` is nil.
    package var omittedBytes: Int?

    package init(position: Position, timestamp: Timestamp?, key: [UInt8]?, value: [UInt8]?, headers: [Header] = []) {
        self.position = position
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
    }

    /// The approximate memory cost, accurate enough to bound memory.
    package var size: Int {
        (key?.count ?? 0) + (value?.count ?? 0) + headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
    }

    /// The text of the last header with exactly this name; nil where the header is absent, null or not UTF-8.
    package func lastHeader(_ name: String) -> String? {
        headers.last { $0.name == name }?.value.flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The text of the first header with this name, ignoring case; nil where the header is absent, null or not UTF-8.
    package func header(_ name: String) -> String? {
        guard let header = headers.first(where: { $0.name.lowercased() == name }), let value = header.value else {
            return nil
        }
        return String(validating: value, as: UTF8.self)
    }
}
