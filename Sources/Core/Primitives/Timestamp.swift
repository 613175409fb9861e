/// A point in civil time, in milliseconds since 1970-01-01T00:00:00Z. Leap seconds are not counted.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The years 0000 to 9999 in milliseconds, the range of RFC 3339. A time zone offset can lead out of the range.
    package static let writable: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }
    package static func + (a: Self, b: Duration) -> Self { Self(milliseconds: a.milliseconds + b.milliseconds) }
    package static func - (a: Self, b: Self) -> Duration { .milliseconds(a.milliseconds - b.milliseconds) }

    /// RFC 3339 in UTC with milliseconds: `2026-01-02T03:04:05.678Z`.
    package var description: String {
        let c = civil
        var out: [UInt8] = []
        out.reserveCapacity(24)
        Self.append(c.year, digits: 4, to: &out)
        for (separator, value, digits) in [
            (UInt8(ascii: "-"), c.month, 2), (UInt8(ascii: "-"), c.day, 2), (UInt8(ascii: "T"), c.hour, 2),
            (UInt8(ascii: ":"), c.minute, 2), (UInt8(ascii: ":"), c.second, 2), (UInt8(ascii: "."), c.millisecond, 3),
        ] {
            out.append(separator)
            Self.append(value, digits: digits, to: &out)
        }
        out.append(UInt8(ascii: "Z"))
        return String(decoding: out, as: UTF8.self)
    }

    /// The basic form for request signing, to the second: `20260102T030405Z`.
    package var basic: String {
        let c = civil
        var out: [UInt8] = []
        out.reserveCapacity(16)
        Self.append(c.year, digits: 4, to: &out)
        Self.append(c.month, digits: 2, to: &out)
        Self.append(c.day, digits: 2, to: &out)
        out.append(UInt8(ascii: "T"))
        Self.append(c.hour, digits: 2, to: &out)
        Self.append(c.minute, digits: 2, to: &out)
        Self.append(c.second, digits: 2, to: &out)
        out.append(UInt8(ascii: "Z"))
        return String(decoding: out, as: UTF8.self)
    }

    /// Reads RFC 3339 (section 5.6). Accepts any offset, any number of fraction digits (truncated to
    /// milliseconds), and `T`, `t` or a space between date and time. A leap second (`:60`) reads as the following
    /// second. Nil for anything else.
    package init?(rfc3339 text: String) {
        var reader = Reader(bytes: Array(text.utf8))
        guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
            let day = reader.number(2), reader.takeAny("Tt "), let hour = reader.number(2), reader.take(":"),
            let minute = reader.number(2), reader.take(":"), let second = reader.number(2),
            (1...12).contains(month), day >= 1, day <= Self.days(in: month, of: year), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if reader.take(".") {
            var scale: Int64 = 100
            var digits = 0
            while let digit = reader.number(1) {
                fraction += Int64(digit) * scale
                scale /= 10
                digits += 1
            }
            guard digits > 0 else { return nil }
        }
        var offset: Int64 = 0
        if !reader.takeAny("Zz") {
            let sign: Int64 = reader.take("+") ? 1 : reader.take("-") ? -1 : 0
            guard sign != 0, let hours = reader.number(2), reader.take(":"), let minutes = reader.number(2), hours < 24,
                minutes < 60
            else { return nil }
            offset = sign * Int64(hours * 60 + minutes) * 60_000
        }
        guard reader.atEnd else { return nil }
        let days = Self.daysFromCivil(year: year, month: month, day: day)
        let seconds = Int64(days) * 86_400 + Int64(hour * 3600 + minute * 60 + second)
        milliseconds = seconds * 1000 + fraction - offset
        guard Self.writable.contains(milliseconds) else { return nil }
    }

    /// Reads the basic form, `20260102T030405Z`.
    package init?(basic text: String) {
        let c = Array(text.utf8)
        guard c.count == 16 else { return nil }
        func part(_ range: Range<Int>) -> String { String(decoding: c[range], as: UTF8.self) }
        self.init(
            rfc3339: "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))\(part(8..<9))\(part(9..<11)):"
                + "\(part(11..<13)):\(part(13..<16))")
    }

    /// Reads the date of an HTTP header (RFC 9110, IMF-fixdate): `Sun, 06 Nov 1994 08:49:37 GMT`.
    package init?(httpDate text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let month = Self.monthNames.firstIndex(of: String(parts[2])) else {
            return nil
        }
        let two = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
        self.init(rfc3339: "\(parts[3])-\(two)-\(parts[1])T\(parts[4])Z")
    }

    /// IMF-fixdate (RFC 9110, section 5.6.7).
    package var httpDate: String {
        let c = civil
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let year = String(repeating: "0", count: max(0, 4 - String(c.year).utf8.count)) + String(c.year)
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][
            Int((milliseconds / 86_400_000 % 7 + 7) % 7)]
        return "\(weekday), \(two(c.day)) \(Self.monthNames[c.month - 1]) \(year) "
            + "\(two(c.hour)):\(two(c.minute)):\(two(c.second)) GMT"
    }

    private static let monthNames = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private struct Reader {
        let bytes: [UInt8]
        var index = 0
        var atEnd: Bool { index == bytes.count }
        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func number(_ digits: Int) -> Int? {
            guard index + digits <= bytes.count else { return nil }
            var value = 0
            for i in index..<index + digits {
                guard (48...57).contains(bytes[i]) else { return nil }
                value = value * 10 + Int(bytes[i] - 48)
            }
            index += digits
            return value
        }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard index < bytes.count, UInt32(bytes[index]) == character.value else { return false }
            index += 1
            return true
        }

        mutating func takeAny(_ characters: String) -> Bool {
            guard index < bytes.count, characters.utf8.contains(bytes[index]) else { return false }
            index += 1
            return true
        }
    }

    private var civil: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, millisecond: Int) {
        let days = Int(
            milliseconds >= 0 ? milliseconds / 86_400_000 : (milliseconds - 86_399_999) / 86_400_000)
        let rest = Int(milliseconds - Int64(days) * 86_400_000)
        // Converts days to year, month and day in the proleptic Gregorian calendar, with years that start in March.
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (
            year, month, day, rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000
        )
    }

    private static func daysFromCivil(year: Int, month: Int, day: Int) -> Int {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func append(_ value: Int, digits: Int, to out: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            out.append(UInt8(48 + value / divisor % 10))
            divisor /= 10
        }
    }
}

extension Duration {
    /// Whole milliseconds, truncated.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// Seconds, including the fraction.
    package var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
