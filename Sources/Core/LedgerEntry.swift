/// What a ledger needs of a result, in one header of its record, so that a restore looks at nothing else.
///
/// Written as `1;PARTITION/OFFSET;STATUS;KEY;FINGERPRINT;CODE;RETRYABLE;HTTP;CALL;MILLISECONDS`; what is not applicable is
/// empty. The leading number is the form's version.
package struct LedgerEntry: Equatable, Sendable {
    /// The header's name.
    package static let header = "starter-ledger"

    /// The request's.
    package var position: Position
    package var status: Status
    /// The scoped key and the action's fingerprint; nil where the request claimed no key.
    package var key: Fingerprint?
    package var fingerprint: Fingerprint?
    package var code: String?
    package var isRetryable = false
    package var httpStatus: Int?
    /// The call's id.
    package var call: String?
    package var completedAt: Timestamp

    init(_ result: StartResult) {
        position = result.position
        status = result.status
        key = result.scopedKey
        fingerprint = result.fingerprint
        // A vendor's code could hold anything; here it may not hold the separator.
        code = (result.failure?.code).map { code in
            code.utf8.contains(UInt8(ascii: ";"))
                ? String(decoding: code.utf8.map { $0 == UInt8(ascii: ";") ? 0x2C : $0 }, as: UTF8.self) : code
        }
        isRetryable = result.failure?.isRetryable ?? false
        httpStatus = result.failure?.httpStatus
        call = result.call?.id
        completedAt = result.completedAt
    }

    var text: String {
        "1;\(position);\(status.rawValue);\(key?.description ?? "");\(fingerprint?.description ?? "");\(code ?? "");"
            + "\(isRetryable ? 1 : 0);\(httpStatus.map(String.init) ?? "");\(call ?? "");\(completedAt.milliseconds)"
    }

    /// Reads a header's value; nil where it is none of ours.
    package init?(_ bytes: [UInt8]) {
        // Field by field, without a copy of any that is not kept: a restart reads a million of these.
        guard bytes.count <= 1024 else { return nil }
        var reader = FieldReader(bytes: bytes)
        guard reader.next().elementsEqual("1".utf8) else { return nil }
        let place = reader.next()
        let name = reader.next()
        guard let slash = place.firstIndex(of: UInt8(ascii: "/")), let partition = Self.number(place[..<slash]),
            partition <= Int64(Int32.max), let offset = Self.number(place[(slash + 1)...]),
            let status = Self.statuses.first(where: { $0.name.count == name.count && $0.name.elementsEqual(name) })
        else { return nil }
        position = Position(partition: Int32(partition), offset: offset)
        self.status = status.status
        let (key, fingerprint) = (reader.next(), reader.next())
        if !key.isEmpty {
            guard let key = Fingerprint(digits: key), let fingerprint = Fingerprint(digits: fingerprint) else {
                return nil
            }
            (self.key, self.fingerprint) = (key, fingerprint)
        }
        let code = reader.next()
        isRetryable = reader.next().elementsEqual("1".utf8)
        httpStatus = Self.number(reader.next()).flatMap { (100..<1000).contains($0) ? Int($0) : nil }
        let call = reader.next()
        self.code = code.isEmpty ? nil : String(validating: code, as: UTF8.self)
        self.call = call.isEmpty ? nil : String(validating: call, as: UTF8.self)
        // What is not text was not written by us, and would not be read again as what it was.
        guard code.isEmpty == (self.code == nil), call.isEmpty == (self.call == nil),
            let milliseconds = Self.number(reader.next()), Timestamp.writable.contains(milliseconds), reader.isAtEnd
        else { return nil }
        completedAt = Timestamp(milliseconds: milliseconds)
    }

    private static let statuses = Status.allCases.map { (name: Array($0.rawValue.utf8), status: $0) }

    /// Fields between semicolons; past the last one they are empty.
    private struct FieldReader {
        let bytes: [UInt8]
        /// Beyond the end once the last field was taken.
        var index = 0

        var isAtEnd: Bool { index == bytes.count + 1 }

        mutating func next() -> ArraySlice<UInt8> {
            guard index <= bytes.count else {
                // One more than there are.
                index = bytes.count + 2
                return []
            }
            let start = index
            while index < bytes.count, bytes[index] != UInt8(ascii: ";") { index += 1 }
            defer { index += 1 }
            return bytes[start..<index]
        }
    }

    /// Of a result's record; nil where it is none of ours.
    package init?(_ record: Record) {
        guard let value = record.headers.last(where: { $0.name == Self.header })?.value else { return nil }
        self.init(value)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard !digits.isEmpty, digits.count <= 18 else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard (48...57).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 48)
        }
        return value
    }
}

extension Fingerprint {
    /// 32 lower-case hexadecimal digits.
    init?(digits: ArraySlice<UInt8>) {
        guard digits.count == 32 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        for place in digits.indices {
            let digit = digits[place]
            let value: UInt64
            switch digit {
            case 48...57: value = UInt64(digit - 48)
            case 97...102: value = UInt64(digit - 87)
            default: return nil
            }
            words = (words.0 << 4 | words.1 >> 60, words.1 << 4 | value)
        }
        self.init(high: words.0, low: words.1)
    }
}

extension Failure {
    /// As it can be told again from a code: the table's words, without the vendor's text.
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
