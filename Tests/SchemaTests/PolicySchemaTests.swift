import Foundation
import Testing

@testable import Core
@testable import Settings

/// The schema of the policy file and its reader agree. JSON is YAML, so a case serves both.
@Suite(.needsPython) struct PolicySchemaTests {
    private static let good = [
        "{}", #"{"allow-operate-all":true,"allow-all-granted-eps":false,"projects":[],"plugins":["n*"],"max-hosts":5}"#,
        #"{"default":"deny","dry-run":true,"rules":[],"limits":[],"maintenance":[]}"#,
        #"{"rules":[{"name":"a.B_c-9","effect":"allow"},{"name":"b","effect":"deny","hosts":["h"],"operate-all":true}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","projects":["*"],"plugins":["*"],"operate-all":true}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","enterprise-projects":["0"],"operate-all":false,"producers":["x"]}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","projects":["p"],"plugins":["*"],"all-granted-eps":true}]}"#,
        #"{"rules":[{"name":"a","effect":"deny","enterprise-projects":["e"],"all-granted-eps":true}]}"#,
        #"{"limits":[{"name":"a","hosts-per-request":1000000},{"name":"b","hosts-per-project":1,"window":"24h"}]}"#,
        #"{"limits":[{"name":"a","requests-per-producer":1,"window":"1000ms","projects":["p"],"producers":["*"]}]}"#,
        #"{"maintenance":[{"name":"a","from":"00:00","to":"24:00","days":["sun","sat"],"except":"critical"}]}"#,
        #"{"maintenance":[{"name":"a","from":"2026-01-01T00:00:00Z","to":"2026-01-02 00:00:00+01:00"}]}"#,
    ]

    private static let bad = [
        "[]", #"{"project":[]}"#, #"{"projects":"a"}"#, #"{"projects":[""]}"#, #"{"max-hosts":0}"#,
        #"{"max-hosts":1000001}"#, #"{"default":"none"}"#, #"{"dry-run":"maybe"}"#, #"{"rules":{}}"#,
        #"{"rules":[{"name":"a"}]}"#, #"{"rules":[{"effect":"deny"}]}"#, #"{"rules":[{"name":"","effect":"deny"}]}"#,
        #"{"rules":[{"name":"a/b","effect":"deny"}]}"#, #"{"rules":[{"name":"dry-run","effect":"deny"}]}"#,
        #"{"rules":[{"name":"a","effect":"refuse"}]}"#, #"{"rules":[{"name":"a","effect":"deny","plugins":[]}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","hosts":["h"]}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","operate-all":true,"plugins":["*"]}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","operate-all":true,"projects":["*"]}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","all-granted-eps":true,"projects":["p"]}]}"#,
        #"{"rules":[{"name":"a","effect":"allow","projects":["p"],"plugins":["*"],"all-granted-eps":true,"enterprise-projects":["e"]}]}"#,
        #"{"rules":[{"name":"a","effect":"deny","window":"1s"}]}"#, #"{"limits":[{"name":"a"}]}"#,
        #"{"limits":[{"name":"a","hosts-per-request":1,"window":"1m"}]}"#,
        #"{"limits":[{"name":"a","hosts-per-project":1}]}"#, #"{"limits":[{"name":"a","window":"1m"}]}"#,
        #"{"limits":[{"name":"a","hosts-per-project":1,"requests-per-producer":1,"window":"1m"}]}"#,
        #"{"limits":[{"name":"a","hosts-per-project":1,"window":"1 minute"}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00"}]}"#,
        #"{"maintenance":[{"name":"a","from":"24:00","to":"02:00"}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00","to":"24:01"}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00","to":"2026-01-01T00:00:00Z"}]}"#,
        #"{"maintenance":[{"name":"a","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","days":["sun"]}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00","to":"23:00","days":[]}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00","to":"23:00","days":["Sat"]}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00","to":"23:00","except":"bulk"}]}"#,
        #"{"maintenance":[{"name":"a","from":"22:00","to":"23:00","producers":["a"]}]}"#,
    ]

    @Test func `schema and reader agree on each file`() throws {
        let schema = root.appendingPathComponent("schemas/policy.schema.json").path
        for (files, isGood) in [(Self.good, true), (Self.bad, false)] {
            for file in files {
                let isRead = (try? PolicyFile.load(Array(file.utf8), file: "p")) != nil
                #expect(isRead == isGood, "\(file)")
            }
            let judged = try Python.run("judge_results.py", [schema], input: files)
            #expect(judged.first == "\(files.count) results, \(isGood ? 0 : files.count) refused", "\(judged)")
        }
    }
}
