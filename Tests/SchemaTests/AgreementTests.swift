import Foundation
import Testing

@testable import Core

/// The schemas and the worker's code agree, with PyPI's jsonschema as the judge.
@Suite(.needsPython) struct AgreementTests {
    @Test func `decoder and schema agree on a hundred thousand requests made from the schema`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("requests-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let schema = root.appendingPathComponent("schemas/start-request.schema.json").path
        _ = try Python.run("make_requests.py", [schema, "100000", "1", file.path])
        let decoder = RequestDecoder(maximumBytes: .max, policy: .unrestricted)
        var disagreements: [String] = []
        var counts: [String: Int] = [:]
        for line in try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")) {
            let parts = [UInt8](line).split(
                separator: UInt8(ascii: "\t"), maxSplits: 3, omittingEmptySubsequences: false)
            let expected = parts[..<3].map { String(decoding: $0, as: UTF8.self) }
            // The schema does not require a key, because it can be outside the value.
            let record = Record(
                position: Position(partition: 0, offset: 0), timestamp: nil, key: nil, value: Array(parts[3]),
                headers: [Header("idempotency-key", "k")])
            let found: [String]
            switch decoder.decode(record) {
            case .success: found = ["valid", "", expected[2]]
            case .failure(let rejection): found = ["invalid", rejection.field, expected[2]]
            }
            counts[expected[0] + expected[2], default: 0] += 1
            if found != expected {
                let body = String(decoding: parts[3].prefix(500), as: UTF8.self)
                disagreements.append("\(expected) and \(found): \(body)")
            }
        }
        #expect(counts.values.reduce(0, +) == 100_000)
        #expect(counts["valid"] ?? 0 > 45_000)
        #expect(Set(counts.keys).count == 9 && counts.values.allSatisfy { $0 > 1_000 }, "\(counts)")
        #expect(disagreements.isEmpty, "\(disagreements.count), such as \(disagreements.prefix(3))")
    }

    @Test func `every result that the worker writes is of its status's shape`() throws {
        var playback = Playback(seed: 3)
        playback.play(requests: 3_000)
        let results = playback.results
        let counts = Dictionary(grouping: results, by: \.status).mapValues(\.count)
        #expect(Status.allCases.allSatisfy { counts[$0] ?? 0 > 20 }, "\(counts)")
        let writer = ResultWriter(requestsTopic: "r")
        var lines: [String] = []
        for result in results {
            var next: StartResult? = result
            while let form = next {
                lines.append(String(decoding: writer.record(form).value, as: UTF8.self))
                next = form.shorter
            }
        }
        let schema = root.appendingPathComponent("schemas/start-result.schema.json").path
        let judged = try Python.run("judge_results.py", [schema], input: lines)
        #expect(judged == ["\(lines.count) results, 0 refused"])
        #expect(lines.count > results.count * 2)
    }

    @Test func `a result of another status's shape is refused`() throws {
        let schema = root.appendingPathComponent("schemas/start-result.schema.json").path
        var altered: [String] = []
        for status in Status.allCases {
            let url = root.appendingPathComponent("schemas/examples/result-\(status.rawValue).json")
            let text = try String(contentsOf: url, encoding: .utf8).trimmingCharacters(in: .newlines)
            for other in Status.allCases.map(\.rawValue) + ["done"] where other != status.rawValue {
                altered.append(
                    text.replacing(
                        #"{"status":"\#(status.rawValue)""#, with: #"{"status":"\#(other)""#, maxReplacements: 1))
            }
        }
        let judged = try Python.run("judge_results.py", [schema], input: altered)
        #expect(judged.prefix(1) == ["\(altered.count) results, \(altered.count) refused"])
    }
}
