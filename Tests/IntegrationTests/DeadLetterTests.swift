import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct DeadLetters {
        @Test func `each failed or rejected request has its record in the dead-letter topic, also after SIGKILL`()
            throws
        {
            let bench = try WorkerHarness(
                "letters", sandbox: ["--quota", "off", "--latency", "20ms", "--fault", "HSS.1001:host=bad"])
            let topic = bench.topics.requests + ".dead"
            try bench.broker.create(topic)
            let arguments = ["--dead-letter-topic", topic, "--session-timeout", "2s", "--admin-listen", "127.0.0.1:0"]
            let first = try bench.worker(arguments)
            try bench.publish(
                (0..<120).map { number in
                    number % 4 == 0
                        ? .init(key: "k\(number)", value: "{\"broken\":\(number)}")
                        : .plain("k\(number)", host: number % 4 == 1 ? "bad" : "h\(number)")
                }, more: ["-H", "origin=siem"])
            try bench.waitForResults(20, first)
            first.signal(SIGKILL)
            _ = try first.wait()
            let second = try bench.worker(arguments)
            try bench.waitForResults(120, second)
            try eventually("the letters are counted", seconds: 10) {
                try run("curl", ["-s", "\(second.adminURL())/metrics"]).contains("plugin_starter_dead_letters_total")
            }
            second.signal(SIGTERM)
            #expect(try second.wait() == 0)
            try bench.checkOneResultEach(120)
            let results = try bench.results().filter { ["failed", "rejected"].contains($0.status) }
            #expect(results.count == 60)
            let letters = try run(
                "kcat", ["-C", "-b", bench.broker.bootstrap, "-t", topic, "-e", "-q", "-J", "-o", "beginning"]
            ).split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
            var byResult: [String: JSON] = [:]
            for letter in letters {
                let headers = (letter["headers"]?.array ?? []).compactMap(\.string)
                #expect(headers.prefix(2) == ["origin", "siem"])
                let id = headers.firstIndex(of: "dlq-result-id").map { headers[$0 + 1] }
                byResult[try #require(id)] = letter
            }
            #expect(Set(byResult.keys) == Set(results.map(\.id)))
            for result in results {
                let letter = try #require(byResult[result.id])
                let number = Int(letter["key"]?.string?.dropFirst() ?? "") ?? -1
                let sent =
                    number % 4 == 0
                    ? "{\"broken\":\(number)}" : WorkerHarness.Request.plain("k\(number)", host: "bad").value
                #expect(letter["payload"]?.string == sent)
            }
        }

        @Test func `settings for dead letters that contradict each other are named at the start`() throws {
            let bench = try WorkerHarness("letters")
            for (topic, setting) in [(bench.topics.requests, "requests"), (bench.topics.results, "results")] {
                let worker = try bench.worker(["--dead-letter-topic", topic], ready: false)
                #expect(try worker.wait() == 64)
                #expect(worker.errors.contains("is also the --\(setting)-topic"), "\(worker.errors)")
            }
            let worker = try bench.worker(["--dead-letter-status", "failed"], ready: false)
            #expect(try worker.wait() == 64)
            #expect(worker.errors.contains("needs --dead-letter-topic"))
        }
    }
}
