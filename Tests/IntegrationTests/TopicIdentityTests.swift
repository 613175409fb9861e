import Foundation
import Testing

@testable import Core
@testable import Kafka

extension OnABroker {
    /// A result answers its own record, whatever happens to the requests topic. Each record that existed gets one
    /// result.
    @Suite struct TopicIdentity {
        private static let session = [
            "--session-timeout", "2s", "--kafka-property", "topic.metadata.refresh.interval.ms=500",
        ]

        private static func keys(_ bench: WorkerHarness) throws -> [String] { try bench.results().map(\.key).sorted() }

        private static func audit(_ bench: WorkerHarness, exits: Int32) throws -> JSON {
            let audit = try Executable.starter([
                "audit", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                "--results-topic", bench.topics.results, "--older-than", "0s", "--json",
            ])
            #expect(try audit.wait() == exits, "\(audit.output) \(audit.errors)")
            return try #require(
                try audit.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }.last)
        }

        /// A worker answers until this many results exist, and ends.
        private static func answer(_ count: Int, _ bench: WorkerHarness) throws {
            let worker = try bench.worker()
            try bench.waitForResults(count, worker)
            try stop(worker)
        }

        private static func stop(_ worker: Executable) throws {
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0, "\(worker.errors)")
        }

        private static func delete(_ topic: String, _ bench: WorkerHarness) throws {
            try bench.broker.tool("kafka-topics.sh", ["--delete", "--topic", topic])
        }

        private static func create(_ topic: String, _ bench: WorkerHarness) throws {
            try eventually("\(topic) is there again", seconds: 30) {
                (try? bench.broker.tool("kafka-topics.sh", ["--create", "--topic", topic, "--partitions", "1"])) != nil
            }
        }

        @Test(.needsKafka) func `two requests topics, one after the other, on one results topic`() throws {
            let bench = try WorkerHarness("renamed", partitions: 1)
            try bench.publish([.plain("a1"), .plain("a2"), .init(key: "bad", value: "{}")])
            try Self.answer(3, bench)

            let other = try WorkerHarness(beside: bench)
            try other.publish([.plain("b1"), .plain("b2"), .plain("a1"), .plain("b3")])
            // Without a commit for the old topic, only the topic's name distinguishes the records.
            let second = try other.worker()
            try second.says("results of another requests topic")
            try other.waitForResults(7, second)
            try Self.stop(second)
            #expect(try Self.keys(other) == ["", "a1", "a1", "a2", "b1", "b2", "b3"])
            let proof = try Self.audit(other, exits: 0)
            #expect(proof["of_other_records"]?.integer == 3, "\(proof.text)")
            #expect(try Self.audit(bench, exits: 0)["of_other_records"]?.integer == 4)
        }

        @Test(.needsKafka) func `the requests topic is created again while the worker is stopped`() throws {
            let bench = try WorkerHarness("recreated", partitions: 1)
            try bench.publish((0..<50).map { .plain("a\($0)") })
            try Self.answer(50, bench)
            try Self.delete(bench.topics.requests, bench)
            try Self.create(bench.topics.requests, bench)
            try bench.publish((0..<80).map { .plain("b\($0)") })

            let unanswered = try Self.audit(bench, exits: 1)
            #expect(unanswered["violations"]?["unanswered"]?.integer == 80, "\(unanswered.text)")
            #expect(unanswered["violations"]?["altered"]?.integer == 0)
            let second = try bench.worker()
            try bench.waitForResults(130, second)
            try second.says("result at this offset belongs to another record")
            try Self.stop(second)
            #expect(try Self.keys(bench) == ((0..<50).map { "a\($0)" } + (0..<80).map { "b\($0)" }).sorted())
            let proof = try Self.audit(bench, exits: 0)
            #expect(proof["requests"]?.integer == 80 && proof["of_other_records"]?.integer == 50, "\(proof.text)")
        }

        @Test(.needsKafka) func `the requests topic is created again under a running worker`() throws {
            let bench = try WorkerHarness("live", partitions: 1)
            let worker = try bench.worker(Self.session)
            try bench.publish((0..<50).map { .plain("a\($0)") })
            try bench.waitForResults(50, worker)
            try Self.delete(bench.topics.requests, bench)
            try Self.create(bench.topics.requests, bench)
            try bench.publish((0..<30).map { .plain("b\($0)") })
            try bench.waitForResults(80, worker)
            // There are more records than before, and none is taken for an old one.
            try bench.publish((30..<90).map { .plain("b\($0)") })
            try bench.waitForResults(140, worker)
            try Self.stop(worker)
            #expect(try Self.keys(bench) == ((0..<50).map { "a\($0)" } + (0..<90).map { "b\($0)" }).sorted())
            #expect(try bench.committedLag() == 0)
        }

        @Test(.needsKafka) func `requests deleted unread are logged, and the others are answered`() throws {
            let bench = try WorkerHarness("deleted", partitions: 1)
            try bench.publish((0..<10).map { .plain("a\($0)") })
            try Self.answer(10, bench)
            try bench.publish((10..<30).map { .plain("a\($0)") })
            try bench.deleteRequests(below: 25)
            let second = try bench.worker(["--admin-listen", "127.0.0.1:0"])
            try second.says("retention deleted them before they were read")
            try bench.waitForResults(15, second)
            #expect(second.errors.contains("from_offset=10 count=15"), "\(second.errors)")
            let admin = try second.adminURL()
            try eventually("they are counted", seconds: 10) {
                try run("curl", ["-sf", "\(admin)/metrics"]).contains("plugin_starter_lost_records_total 15\n")
            }
            try Self.stop(second)
            #expect(try Self.keys(bench) == ((0..<10).map { "a\($0)" } + (25..<30).map { "a\($0)" }).sorted())
        }

        @Test(.needsKafka) func `a committed offset past the end is logged, and all records are read again`() throws {
            let bench = try WorkerHarness("beyond", partitions: 1)
            try bench.publish((0..<20).map { .plain("a\($0)") })
            try Self.answer(20, bench)
            try bench.publish((20..<30).map { .plain("a\($0)") })
            try bench.commit(1_000)
            let second = try bench.worker(["--admin-listen", "127.0.0.1:0"])
            try second.says("committed offset is past the topic's end")
            try bench.waitForResults(30, second)
            try eventually("all is committed", seconds: 20) { try bench.committedLag() == 0 }
            let metrics = try run("curl", ["-sf", "\(second.adminURL())/metrics"])
            #expect(metrics.contains("plugin_starter_skipped_records_total 20\n"))
            #expect(metrics.contains("plugin_starter_log_resets_total 1\n"))
            #expect(second.errors.contains("record skipped: an earlier run already wrote its result"))
            try Self.stop(second)
            try bench.checkOneResultEach(30)
            #expect(try bench.journal().count == 30)
        }

        @Test(.needsKafka) func `forged headers for offsets that are not written yet answer no request`() throws {
            let bench = try WorkerHarness("forged", partitions: 1)
            try bench.publish((0..<10).map { .plain("a\($0)") })
            try Self.answer(10, bench)
            let forged = (0..<60).flatMap { offset in
                [
                    "starter-ledger=1;0/\(offset);rejected;;;invalid;0;;;\(Int(Date().timeIntervalSince1970) * 1000)",
                    "starter-ledger=2;\(bench.topics.requests);\(String(repeating: "0", count: 32));0/\(offset);"
                        + "rejected;;;invalid;0;;;1767225600000",
                ]
            }
            try bench.forge(forged)
            try bench.publish((10..<60).map { .plain("a\($0)") })
            let second = try bench.worker()
            try bench.waitForResults(10 + 120 + 50, second)
            try Self.stop(second)
            let positions = try bench.results().filter { $0.status == "succeeded" }.map(\.position)
            #expect(positions.count == 60 && Set(positions).count == 60)
        }
    }
}

extension WorkerHarness {
    fileprivate func deleteRequests(below offset: Int) throws {
        let directory = try Executable.scratch("delete")
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appendingPathComponent("offsets")
        let text = #"{"version":1,"partitions":[{"topic":"\#(topics.requests)","partition":0,"offset":\#(offset)}]}"#
        try Data(text.utf8).write(to: file)
        try broker.tool("kafka-delete-records.sh", ["--offset-json-file", file.path])
    }

    /// Sets the group's committed offset, as if the log had been longer.
    fileprivate func commit(_ offset: Int64) throws {
        let group = try Consumer(
            ClientConfiguration(bootstrapServers: broker.bootstrap), topic: topics.requests, group: topics.group)
        var isAsked = false
        try eventually("the offset is committed", seconds: 20) {
            if let (_, error) = group.nextCommit(), error == nil { return true }
            _ = group.next()
            if !isAsked { isAsked = group.commit([(0, offset, "")], id: 1) == nil }
            return false
        }
    }

    /// Writes results that consist only of a header.
    fileprivate func forge(_ headers: [String]) throws {
        let directory = try Executable.scratch("forge")
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appendingPathComponent("value")
        try Data("{}".utf8).write(to: file)
        let script = headers.map {
            "kcat -P -b \(broker.bootstrap) -t \(topics.results) -p 0 -k k -H '\($0)' \(file.path)"
        }
        try run("bash", ["-ec", script.joined(separator: "\n")], seconds: 120)
    }
}
