import Testing

@testable import Core
@testable import Reporting

@Suite struct FilterTests {
    static let result = """
        {"status":"partially_succeeded","idempotency_key":"k","project_id":"p","plugin_code":"ndr",
        "host_id_list":["h1","h2"],"failed_hosts":[{"host_id":"h3","error":{"code":"HSS.1001","category":"host"}}],
        "error":{"code":"expired","category":"expired"}}
        """

    @Test func `a list allows any of its values`() throws {
        let result = try JSON(parsing: Array(Self.result.utf8))
        let cases: [(path: WritableKeyPath<ResultFilter, [String]>, matching: [String], other: [String])] = [
            (\.statuses, ["failed", "partially_succeeded"], ["failed"]), (\.codes, ["HSS.1001"], ["HSS.1002"]),
            (\.codes, ["x", "expired"], ["x"]), (\.categories, ["host"], ["request"]),
            (\.categories, ["expired"], ["auth", "policy"]), (\.hosts, ["h2"], ["h"]), (\.hosts, ["h3"], ["H1"]),
        ]
        for (path, matching, other) in cases {
            var filter = ResultFilter()
            #expect(filter.matches(result))
            filter[keyPath: path] = matching
            #expect(filter.matches(result), "\(matching)")
            filter[keyPath: path] = other
            #expect(!filter.matches(result), "\(other)")
        }
    }

    @Test func `a text must be equal`() throws {
        let result = try JSON(parsing: Array(Self.result.utf8))
        let cases: [(path: WritableKeyPath<ResultFilter, String?>, text: String)] = [
            (\.key, "k"), (\.projectID, "p"), (\.pluginCode, "ndr"),
        ]
        for (path, text) in cases {
            var filter = ResultFilter()
            filter[keyPath: path] = text
            #expect(filter.matches(result))
            filter[keyPath: path] = text + "x"
            #expect(!filter.matches(result))
            #expect(!filter.matches(.object([])))
        }
    }

    @Test func `all filters have to match`() throws {
        let result = try JSON(parsing: Array(Self.result.utf8))
        var filter = ResultFilter()
        (filter.key, filter.hosts) = ("k", ["h1"])
        #expect(filter.matches(result))
        filter.statuses = ["succeeded"]
        #expect(!filter.matches(result))
    }
}
