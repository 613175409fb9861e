import Testing

@testable import Core
@testable import Reporting

@Suite struct TableTests {
    static func result(_ members: String = "", status: String = "failed") throws -> JSON {
        try JSON(
            parsing: Array(
                #"{"status":"\#(status)","completed_at":"2026-01-02T03:04:05.678Z","attempts":2\#(members)}"#.utf8))
    }

    static let long =
        #","idempotency_key":"\#(String(repeating: "k", count: 90))","project_id":"\#(String(repeating: "p", count: 90))","plugin_code":"ndr","host_id_list":["a","b"],"error":{"code":"HSS.1001","detail":"\#(String(repeating: "主机", count: 80))"}"#

    @Test(arguments: [20, 40, 60, 79, 80, 100, 119, 120, 132, 160, 200])
    func `no line is wider than the terminal`(_ width: Int) throws {
        let table = ResultTable(width: width, isColoured: false)
        let row = table.row(try Self.result(Self.long))
        #expect(row.columns <= width, "\(row)")
        #expect(row.columns >= width - 1, "the error uses what is left")
        #expect(table.header.columns <= width)
        #expect(row.contains("failed"))
    }

    @Test func `a wide terminal has all columns, a narrow one time, status, key and error`() throws {
        #expect(ResultTable(width: 160, isColoured: false).header.contains("PROJECT"))
        let narrow = ResultTable(width: 80, isColoured: false).header
        #expect(narrow.split(separator: " ") == ["COMPLETED", "STATUS", "KEY", "ERROR"])
    }

    @Test func `without a terminal nothing is cut`() throws {
        let row = ResultTable(width: nil, isColoured: false).row(try Self.result(Self.long))
        #expect(row.contains(String(repeating: "k", count: 90)))
        #expect(row.contains(String(repeating: "主机", count: 80)))
        #expect(row.contains("2026-01-02T03:04:05.678Z"))
    }

    @Test(arguments: [
        ("succeeded", "32"), ("failed", "31"), ("rejected", "31"), ("expired", "33"), ("duplicate", "2"),
    ]) func `the status has a colour, and only there`(_ status: String, _ colour: String) throws {
        let result = try Self.result(status: status)
        let row = ResultTable(width: 80, isColoured: true).row(result)
        #expect(row.contains("\u{1B}[\(colour)m\(status) "))
        #expect(row.split(separator: "\u{1B}").count == 3)
        #expect(!ResultTable(width: 80, isColoured: false).row(result).contains("\u{1B}"))
    }

    @Test(arguments: [
        ("abc", 3), ("主机", 4), ("e\u{301}", 1), ("é", 1), ("👍", 2), ("", 0), ("a\u{200B}b", 2),
    ]) func `a text has the columns of a terminal`(_ text: String, _ columns: Int) {
        #expect(text.columns == columns)
    }

    @Test(arguments: [("abcdef", 4, "abc…"), ("主机主机", 4, "主…"), ("abc", 3, "abc"), ("abc", 0, ""), ("主", 1, "…")])
    func `a text is cut at a width`(_ text: String, _ width: Int, _ cut: String) {
        #expect(text.cut(to: width) == cut)
        #expect(text.cut(to: width).columns <= width)
    }
}
