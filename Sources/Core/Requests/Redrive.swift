/// A record that sends the request of an earlier result again. Its header `redrive-of` is that result's `ce_id`.
///
/// The ledger lets the record through while the named result is the latest outcome of its key. The new attempt becomes
/// the latest outcome when it ends, so a second record that names the same result is a duplicate. Nothing besides the
/// offset of a key's outcome has to be remembered for that.
package struct Redrive: Equatable, Sendable {
    package static let ofHeader = "redrive-of"
    package static let generationHeader = "redrive-generation"

    /// The offset of the request whose result is named. It is in the same partition.
    package var offset: Int64

    package init(offset: Int64) { self.offset = offset }

    /// Nil where the record names no result of its own topic and partition. It is then an ordinary request.
    package init?(_ record: Record, topic: String) {
        guard let text = record.lastHeader(Self.ofHeader) else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == topic, Int32(parts[1]) == record.position.partition,
            let offset = Int64(parts[2]), offset >= 0, Status(rawValue: String(parts[3])) != nil
        else { return nil }
        self.offset = offset
    }

    /// How often the request was sent again before: 0 for a record without a valid header.
    package static func generation(of record: Record) -> Int {
        guard let value = record.headers.last(where: { $0.name == generationHeader })?.value, value.count <= 9,
            let text = String(validating: value, as: UTF8.self), let number = Int(text), number > 0
        else { return 0 }
        return number
    }

    /// The record's own headers, and the two that make it a redriven one.
    package static func headers(_ record: Record, of result: String, generation: Int) -> [Header] {
        record.headers.filter { $0.name != ofHeader && $0.name != generationHeader }
            + [Header(ofHeader, result), Header(generationHeader, "\(generation)")]
    }
}

extension Status {
    /// Whether a request with this outcome can be sent again under its key. One that succeeded cannot, so that no header
    /// repeats what is done.
    package var canBeRedriven: Bool { self == .failed || self == .partiallySucceeded }
}
