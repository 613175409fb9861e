/// A reader of bytes from outside, and what must hold for any bytes. libFuzzer searches for bytes that break it
/// (`Entry.swift`). The other tests run it on the corpus (`Replay.swift`).
struct Target: Sendable {
    let name: String
    /// The length of the longest input worth trying.
    let maximumBytes: Int
    let check: @Sendable ([UInt8]) throws -> Void

    static let all = [
        Target(name: "json", maximumBytes: 512, check: checkJSON),
        Target(name: "request", maximumBytes: 3072, check: checkRequest),
        Target(name: "ledger", maximumBytes: 4096, check: checkLedger),
        Target(name: "reply", maximumBytes: 6144, check: checkReply),
        Target(name: "token", maximumBytes: 2048, check: checkToken),
        Target(name: "config", maximumBytes: 1024, check: checkConfig),
        Target(name: "policy", maximumBytes: 1024, check: checkPolicy),
        Target(name: "flags", maximumBytes: 256, check: checkFlags),
        Target(name: "fault", maximumBytes: 128, check: checkFault),
        Target(name: "time", maximumBytes: 64, check: checkTime),
    ]
}

/// Something that must hold and did not.
struct Broken: Error, CustomStringConvertible {
    let description: String
}

func hold(_ condition: @autoclosure () throws -> Bool, _ rule: @autoclosure () -> String) throws {
    guard try condition() else { throw Broken(description: rule()) }
}

/// Returns the value, which must exist.
func need<Value>(_ value: @autoclosure () throws -> Value?, _ rule: @autoclosure () -> String) throws -> Value {
    guard let value = try value() else { throw Broken(description: rule()) }
    return value
}

/// An input of lines, an empty line and a body, as in HTTP. Such an input is easy to write as a seed, and easy to
/// mutate.
struct HeadAndBody {
    var lines: [ArraySlice<UInt8>]
    var body: [UInt8]

    init(_ bytes: [UInt8]) {
        var rest = bytes[...]
        lines = []
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[..<end]
            rest = rest[(end + 1)...]
            if line.isEmpty { break }
            lines.append(line)
        }
        body = Array(rest)
    }
}

extension String {
    /// Whether the text contains control characters, which could forge a line of a log or a header.
    var holdsControls: Bool { unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) } }
}
