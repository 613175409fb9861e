import Testing

@testable import Core

@Suite struct TimestampTests {
    @Test(arguments: [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"), ("2026-01-02t03:04:05.1239z", "2026-01-02T03:04:05.123Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000Z"), ("2000-02-29T23:59:60Z", "2000-03-01T00:00:00.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ]) func `RFC 3339 is read and written`(_ text: String, _ written: String) {
        #expect(Timestamp(rfc3339: text)?.description == written)
    }

    @Test(arguments: [
        "", "2026-01-02", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+2:00", "tomorrow",
    ]) func `anything else is not a time`(_ text: String) { #expect(Timestamp(rfc3339: text) == nil) }

    @Test func `dates of HTTP headers are read and written`() {
        let time = Timestamp(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(time?.milliseconds == 784_111_777_000)
        #expect(time?.httpDate == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(time?.basic == "19941106T084937Z")
    }
}
