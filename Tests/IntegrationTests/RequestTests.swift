import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Requests {
        static func line(_ key: String?, host: String, more: String = "") -> String {
            let key = key.map { #""idempotency_key":"\#($0)","# } ?? ""
            return #"{\#(key)"project_id":"p","plugin_code":"ndr","host_id_list":["\#(host)"]\#(more)}"#
        }

        /// A file for the time of a test.
        final class File {
            let url: URL
            var path: String { url.path }

            init(_ lines: [String]) throws {
                url = try Executable.scratch("lines").appendingPathComponent("requests.ndjson")
                try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: url)
            }

            deinit { try? FileManager.default.removeItem(at: url.deletingLastPathComponent()) }
        }

        static func arguments(_ bench: WorkerHarness, _ more: [String]) -> [String] {
            [
                "request", "--bootstrap-servers", bench.broker.bootstrap, "--requests-topic", bench.topics.requests,
                "--results-topic", bench.topics.results,
            ] + more
        }

        static func start(_ bench: WorkerHarness, _ more: [String]) throws -> Executable {
            try Executable.starter(arguments(bench, more))
        }

        /// The program with its input from a pipe.
        static func pipe(_ bench: WorkerHarness, _ file: File, _ more: [String] = []) throws -> Executable {
            let command = ([Executable.binary.path] + arguments(bench, ["-"] + more)).map { "'\($0)'" }
            return try Executable("bash", ["-c", "cat '\(file.path)' | \(command.joined(separator: " "))"])
        }

        @Test func `the requests of a file are sent in order, and their results are counted`() throws {
            let bench = try WorkerHarness("lines")
            let worker = try bench.worker()
            let file = try File([
                Self.line("a", host: "h1"), Self.line("b", host: "unknown-1"), "", Self.line(nil, host: "h2"),
                Self.line("a", host: "h3"), Self.line("c", host: "h4", more: #","expires_at":"2020-01-01T00:00:00Z""#),
            ])
            let request = try Self.start(bench, [file.path, "--wait", "30s", "--plugin-code", "other"])
            #expect(try request.wait() == 1)
            let statuses = request.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(
                statuses.map { $0.last ?? "" }.sorted() == ["conflict", "expired", "failed", "succeeded", "succeeded"])
            #expect(statuses.contains(["a", "succeeded"]) && statuses.contains(["b", "failed"]))
            #expect(statuses.contains { $0.count == 2 && $0[0].count == 32 && $0[1] == "succeeded" })
            for says in [
                "sent 5 requests in", "2 succeeded, 1 conflict, 1 expired, 1 failed", "b: HSS.0011 Resource not found",
                "1 failed HSS.0011: Resource not found. Check the host's id", "Then send it again with a new key.",
                "1 conflict: The key was used for another action. The key belongs",
                "Give it a later expires_at",
            ] { #expect(request.errors.contains(says), "\(says): \(request.errors)") }
            // A flag overrides the member of each line.
            #expect(try bench.results().allSatisfy { $0.json["plugin_code"]?.string == "other" })
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `a wrong line of a file keeps all of them from being sent`() throws {
            let bench = try WorkerHarness("wrong")
            let file = try File([
                Self.line("a", host: "h"), Self.line("b", host: ""), "[1]", "{", Self.line("c", host: "h"),
            ])
            let request = try Self.start(bench, ["--file", file.path])
            #expect(try request.wait() == 64)
            #expect(request.output.isEmpty)
            for says in [
                "line 2: host_id_list[0] must not be empty", "line 3: must be a JSON object, and is an array",
                "line 4: must be JSON", "3 of 5 requests are wrong; none was sent",
            ] { #expect(request.errors.contains(says), "\(says): \(request.errors)") }
            #expect(try bench.count(bench.topics.requests) == 0)
        }

        @Test func `a pipe is sent up to its first wrong line`() throws {
            let bench = try WorkerHarness("pipe")
            let file = try File([
                Self.line("a", host: "h"), Self.line("b", host: "h"), "nonsense", Self.line("c", host: "h"),
            ])
            let request = try Self.pipe(bench, file, ["--json"])
            #expect(try request.wait() == 64)
            #expect(request.errors.contains("standard input, line 3: must be JSON"), "\(request.errors)")
            #expect(request.errors.contains("requests sent before it: 2"))
            let sent = try request.output.split(separator: "\n").map { try JSON(parsing: Array($0.utf8)) }
            #expect(sent.map { $0["idempotency_key"]?.string } == ["a", "b"])
            #expect(sent.map { $0["line"]?.integer } == [1, 2])
            #expect(try bench.count(bench.topics.requests) == 2)
        }

        @Test func `an object over several lines is one request, from a file and from a pipe`() throws {
            let bench = try WorkerHarness("object")
            let text = Self.line("a", host: "h").replacingOccurrences(of: ",", with: ",\n  ")
                .replacingOccurrences(of: "{", with: "{\n")
            let file = try File([text])
            let request = try Self.start(bench, [file.path])
            #expect(try request.wait() == 0, "\(request.errors)")
            #expect(request.output == "a\n")
            #expect(request.errors.isEmpty)
            let piped = try Self.pipe(bench, file)
            #expect(try piped.wait() == 0, "\(piped.errors)")
            #expect(piped.output == "a\n")
            #expect(try bench.count(bench.topics.requests) == 2)
        }

        @Test func `lines of an open pipe are sent at once, and SIGINT tells how many`() throws {
            let bench = try WorkerHarness("stream")
            let fifo = try Executable.scratch("fifo").appendingPathComponent("pipe")
            defer { try? FileManager.default.removeItem(at: fifo.deletingLastPathComponent()) }
            let made = unsafe mkfifo(fifo.path, 0o600)
            #expect(made == 0)
            let writer = try FileHandle(forUpdating: fifo)
            let request = try Executable(
                Executable.binary.path, Self.arguments(bench, ["-"]), input: fifo)
            for (number, key) in ["a", "b", "c"].enumerated() {
                try writer.write(contentsOf: Data((Self.line(key, host: "h") + "\n").utf8))
                try eventually("\(key) is sent", seconds: 30, otherwise: { request.errors }) {
                    request.output.split(separator: "\n").count == number + 1
                }
            }
            request.signal(SIGINT)
            #expect(try request.wait() == 75)
            #expect(request.output == "a\nb\nc\n")
            #expect(request.errors.contains("stopped: sent 3 requests"), "\(request.errors)")
            #expect(try bench.count(bench.topics.requests) == 3)
        }

        @Test func `SIGINT while results are awaited prints the keys without one`() throws {
            let bench = try WorkerHarness("impatient")
            let file = try File([Self.line("a", host: "h"), Self.line("b", host: "h")])
            let request = try Self.start(bench, [file.path, "--wait", "1h"])
            try request.says("sent 2 requests in")
            request.signal(SIGINT)
            #expect(try request.wait(seconds: 10) == 75)
            #expect(request.output == "a\nb\n")
            #expect(request.errors.contains("stopped: sent 2 of 2 requests"))
            #expect(request.errors.contains("2 without a result"), "\(request.errors)")
        }

        @Test func `SIGINT in the middle of a file tells how many of how many`() throws {
            let bench = try WorkerHarness("interrupt")
            let file = try File((0..<40_000).map { Self.line("k\($0)", host: "h") })
            let request = try Self.start(bench, [file.path])
            try eventually("some are sent", seconds: 60) { request.output.contains("\n") }
            request.signal(SIGINT)
            #expect(try request.wait() == 75)
            let keys = request.output.split(separator: "\n").map(String.init)
            #expect(keys == (0..<keys.count).map { "k\($0)" })
            #expect(keys.count < 40_000)
            #expect(request.errors.contains("stopped: sent \(keys.count) of 40000 requests"), "\(request.errors)")
            if !request.errors.contains("may have been sent") {
                #expect(try bench.count(bench.topics.requests) == keys.count)
            }
        }

        @Test func `a hundred thousand requests take little memory`() throws {
            let bench = try WorkerHarness("hundred")
            let count = 100_000
            let file = try File((0..<count).map { Self.line("k\($0)", host: "h\($0)") })
            let request = try Self.start(bench, [file.path])
            var peak = 0
            try eventually("all are sent", seconds: 240) {
                let status = try? String(
                    contentsOfFile: "/proc/\(request.process.processIdentifier)/status", encoding: .utf8)
                let line = status?.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
                peak = max(peak, line?.split(separator: " ").dropLast().last.flatMap { Int($0) } ?? 0)
                return !request.process.isRunning
            }
            #expect(try request.wait() == 0, "\(request.errors)")
            #expect(request.output.split(separator: "\n").elementsEqual((0..<count).map { "k\($0)" }))
            #expect(try bench.count(bench.topics.requests) == count)
            #expect(peak > 1_000 && peak < 100_000, "\(peak) KiB")
        }

        @Test func `requests without a result exit 75 and have a line with their key`() throws {
            let bench = try WorkerHarness("unanswered")
            let file = try File([Self.line("a", host: "h"), Self.line("b", host: "h")])
            let request = try Self.start(bench, [file.path, "--wait", "500ms"])
            #expect(try request.wait() == 75)
            #expect(request.output == "a\nb\n")
            #expect(request.errors.contains("2 without a result"), "\(request.errors)")
            #expect(request.errors.contains("no result within 500ms"))
        }

        @Test func `a request that is too large is named, and those before it are sent`() throws {
            let bench = try WorkerHarness("large")
            let large = Self.line("b", host: "h", more: #","x":"\#(String(repeating: "x", count: 1_100_000))""#)
            let file = try File([Self.line("a", host: "h"), large, Self.line("c", host: "h")])
            let request = try Self.start(bench, [file.path])
            #expect(try request.wait() == 64)
            #expect(request.output == "a\n")
            #expect(request.errors.contains("line 2: the request of 1100"), "\(request.errors)")
            #expect(request.errors.contains("; sent 1 of 3 requests\n"))
            #expect(try bench.count(bench.topics.requests) == 1)
        }

        @Test func `a terminal shows a bar and a rate`() throws {
            let bench = try WorkerHarness("bar")
            let file = try File((0..<3_000).map { Self.line("k\($0)", host: "h") })
            let command = ([Executable.binary.path] + Self.arguments(bench, [file.path])).joined(separator: " ")
            let text = try run("script", ["-qec", "\(command) >/dev/null", "/dev/null"])
            #expect(text.contains("] 3000/3000, "), "\(text.suffix(500))")
            #expect(text.contains(#/\[#+\.*\] [0-9]+/3000, [0-9]+/s/#))
            #expect(text.contains("sent 3000 requests in "))
        }
    }
}

extension WithoutABroker {
    @Test(arguments: [
        (["request", "FILE", "--file", "FILE"], "not both"),
        (["request", "no-such-file"], "no-such-file cannot be read"),
        (["request", "FILE", "--idempotency-key", "k"], "idempotency-key: cannot be given for 2 requests"),
        (["request", "EMPTY"], "contains no request"),
        (["results", "--json", "--format", "ocsf"], "cannot be combined with --json"),
        (["results", "--summary", "--format", "ocsf"], "cannot be combined with --summary"),
        (["results", "--until", "1h", "--follow"], "cannot be combined with --follow"),
        (["results", "--until", "1h", "--since", "1h"], "must be shorter than --since"),
        (["completion"], "must be one of: bash, zsh, fish"),
        (["completion", "tcsh"], "must be one of: bash, zsh, fish"),
    ]) func `what cannot be done exits 64 and says why`(_ arguments: [String], _ says: String) throws {
        let file = try OnABroker.Requests.File(["a", "b"].map { OnABroker.Requests.line(nil, host: $0) })
        let empty = try OnABroker.Requests.File([])
        let paths = ["FILE": file.path, "EMPTY": empty.path]
        let starter = try Executable.starter(
            arguments.map { paths[$0] ?? $0 }, environment: ["KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"])
        #expect(try starter.wait(seconds: 20) == 64, "\(starter.errors)")
        #expect(starter.errors.contains(says), "\(starter.errors)")
        #expect(starter.output.isEmpty)
    }

    @Test func `errors prints what to do about each category`() throws {
        let text = try run(Executable.binary.path, ["errors"])
        for category in Failure.Category.allCases {
            let line = text.split(separator: "\n").first {
                $0.hasPrefix("\(category.rawValue) ") && $0.contains(category.remedy)
            }
            #expect(line != nil, "\(category)")
        }
        let json = try run(Executable.binary.path, ["errors", "--json"])
        for line in json.split(separator: "\n") {
            #expect(try JSON(parsing: Array(line.utf8))["remedy"]?.string?.isEmpty == false)
        }
    }

    @Test func `completion and man print a script and a page`() throws {
        #expect(
            try run(Executable.binary.path, ["completion", "bash"]).contains(
                "complete -F _plugin_starter plugin-starter"))
        #expect(try run(Executable.binary.path, ["completion", "zsh"]).hasPrefix("#compdef plugin-starter\n"))
        #expect(try run(Executable.binary.path, ["completion", "fish"]).contains("complete -c plugin-starter"))
        #expect(try run(Executable.binary.path, ["man"]).hasPrefix(".TH PLUGIN\\-STARTER 1\n"))
    }
}
