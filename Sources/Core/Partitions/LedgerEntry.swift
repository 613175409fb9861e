/// The part of a result that a ledger needs, in one header of the result's record, so
/// that a restore reads nothing else.
///
/// The form is `2;TOPIC;RECORD;PARTITION/OFFSET;STATUS;KEY;FINGERPRINT;CODE;RETRYABLE;HTTP;CALL;MILLISECONDS`. A field
/// that does not apply is empty. The leading number is the version of the form. Version 1, which is still read, had
/// neither the requests topic nor the identity of the request's record.
package struct LedgerEntry: Equatable, Sendable {
    /// The header's name.
    package static let header = "starter-ledger"

    /// Identifies the request's record by its topic and `Record.identity`; nil in version 1.
    package struct Source: Equatable, Sendable {
        package var topic: String
        package var record: Fingerprint
    }

    package var source: Source?
    /// The position of the request.
    package var position: Position
    package var status: Status
    /// The scoped key and the fingerprint of the action; nil for an invalid request.
    package var key: Fingerprint?
    package var fingerprint: Fingerprint?
    package var code: String?
    package var isRetryable = false
    package var httpStatus: Int?
    /// The call's id.
    package var call: String?
    package var completedAt: Timestamp

    init(_ result: StartResult, topic: String) {
        source = result.record.map { Source(topic: topic, record: $0) }
        position = result.position
        status = result.status
        key = result.scopedKey
        fingerprint = result.fingerprint
        // A vendor's code may contain any character, but must not contain the separator here.
        code = (result.failure?.code).map { code in
            code.utf8.contains(UInt8(ascii: ";"))
                ? String(decoding: code.utf8.map { $0 == UInt8(ascii: ";") ? 0x2C : $0 }, as: UTF8.self) : code
        }
        isRetryable = result.failure?.isRetryable ?? false
        httpStatus = result.failure?.httpStatus
        call = result.call?.id
        completedAt = result.completedAt
    }

    /// The header's value.
    var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(256)
        func put(_ text: some StringProtocol) { out.append(contentsOf: text.utf8) }
        func end() { out.append(UInt8(ascii: ";")) }
        if let source {
            put("2;")
            put(source.topic)
            end()
            source.record.append(to: &out)
            end()
        } else {
            put("1;")
        }
        put(String(position.partition))
        put("/")
        put(String(position.offset))
        end()
        put(status.rawValue)
        end()
        key?.append(to: &out)
        end()
        fingerprint?.append(to: &out)
        end()
        put(code ?? "")
        put(isRetryable ? ";1;" : ";0;")
        put(httpStatus.map(String.init) ?? "")
        end()
        put(call ?? "")
        end()
        put(String(completedAt.milliseconds))
        return out
    }

    /// Reads the value of a header; nil for text that this worker did not write.
    package init?(_ bytes: [UInt8]) {
        // Parses field by field and copies only the fields that are kept, because a restart reads a million headers.
        guard bytes.count <= 1024 else { return nil }
        var fields = Fields(bytes: bytes)
        guard let version = fields.next(), version.count == 1 else { return nil }
        switch bytes[version.lowerBound] {
        case UInt8(ascii: "1"): break
        case UInt8(ascii: "2"):
            guard let topic = fields.next(), let record = fields.next(), !topic.isEmpty, topic.count <= 249,
                let topic = String(validating: bytes[topic], as: UTF8.self),
                let record = Fingerprint(digits: bytes, record)
            else { return nil }
            source = Source(topic: topic, record: record)
        default: return nil
        }
        guard let partition = fields.next("/"),
            let offset = fields.next(), let name = fields.next(), let key = fields.next(),
            let fingerprint = fields.next(), let code = fields.next(), let retryable = fields.next(),
            let httpStatus = fields.next(), let call = fields.next(), let time = fields.next(), fields.isAtEnd,
            let partition = Self.number(bytes, partition), partition <= Int64(Int32.max),
            let offset = Self.number(bytes, offset),
            let status = Self.statuses.first(where: { bytes[name].elementsEqual($0.name) })?.status,
            let milliseconds = Self.number(bytes, time), Timestamp.writable.contains(milliseconds)
        else { return nil }
        position = Position(partition: Int32(partition), offset: offset)
        self.status = status
        completedAt = Timestamp(milliseconds: milliseconds)
        if !key.isEmpty {
            guard let key = Fingerprint(digits: bytes, key), let fingerprint = Fingerprint(digits: bytes, fingerprint)
            else { return nil }
            (self.key, self.fingerprint) = (key, fingerprint)
        }
        isRetryable = bytes[retryable].elementsEqual("1".utf8)
        self.httpStatus = Self.number(bytes, httpStatus).flatMap { (100..<1000).contains($0) ? Int($0) : nil }
        // A code that is not UTF-8 is not from this worker, and would not be read back unchanged.
        if !code.isEmpty {
            guard let code = String(validating: bytes[code], as: UTF8.self) else { return nil }
            self.code = code
        }
        if !call.isEmpty {
            guard let call = String(validating: bytes[call], as: UTF8.self) else { return nil }
            self.call = call
        }
    }

    private static let statuses = Status.allCases.map { (name: Array($0.rawValue.utf8), status: $0) }

    /// Finds the range of each field in turn.
    private struct Fields {
        let bytes: [UInt8]
        /// One past the end after the last field.
        private var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { index > bytes.count }

        /// The range up to the separator or the end; nil where there are no more fields.
        mutating func next(_ separator: Unicode.Scalar = ";") -> Range<Int>? {
            guard index <= bytes.count else { return nil }
            let start = index
            while index < bytes.count, bytes[index] != UInt8(ascii: separator) { index += 1 }
            defer { index += 1 }
            return start..<index
        }
    }

    /// Reads the header of a result's record; nil for a record that this worker did not write.
    package init?(_ record: Record) {
        guard let value = record.headers.last(where: { $0.name == Self.header })?.value else { return nil }
        self.init(value)
    }

    private static func number(_ bytes: [UInt8], _ place: Range<Int>) -> Int64? {
        guard !place.isEmpty, place.count <= 18 else { return nil }
        var value: Int64 = 0
        for index in place {
            guard (48...57).contains(bytes[index]) else { return nil }
            value = value * 10 + Int64(bytes[index] - 48)
        }
        return value
    }
}

extension Fingerprint {
    /// 32 lower-case hexadecimal digits.
    init?(digits bytes: [UInt8], _ place: Range<Int>) {
        guard place.count == 32 else { return nil }
        // There is no branch for each digit. Digits are practically random, so a third of the
        // branches would be mispredicted.
        func word(_ place: Range<Int>) -> (value: UInt64, isHexadecimal: Bool) {
            var (value, isHexadecimal) = (0 as UInt64, true)
            for index in place {
                let digit = bytes[index]
                let isLetter = digit &- 97 < 6
                isHexadecimal = isHexadecimal && ((digit &- 48 < 10) != isLetter)
                value = value << 4 | UInt64(digit & 15 &+ (digit >> 6 & 1) &* 9) & 15
            }
            return (value, isHexadecimal)
        }
        let (high, low) = (word(place.prefix(16)), word(place.suffix(16)))
        guard high.isHexadecimal && low.isHexadecimal else { return nil }
        self.init(high: high.value, low: low.value)
    }
}

extension Failure {
    /// Restores a failure from its code, with the table's title but without the vendor's text.
    init(code: String, isRetryable: Bool, httpStatus: Int?) {
        let rows = Failure.rows(code: code)
        let row =
            rows.first { $0.disposition != .refuse && isRetryable || $0.disposition == .refuse && !isRetryable }
            ?? rows.first ?? httpStatus.map { Failure.row(httpStatus: $0) }
        self.init(
            category: row?.category ?? .unknown, disposition: isRetryable ? .retry : .refuse,
            scope: row?.scope ?? .request,
            code: code, title: row?.title ?? "Failed", httpStatus: httpStatus)
    }
}
