import Foundation
import Testing

@testable import Core

extension WithoutABroker {
    /// docs/tutorial.md, run as it stands. Only the ports are replaced by free ones.
    @Suite struct Tutorial {
        private struct Block {
            var language: String
            var lines: [String]
        }

        private static func blocks() throws -> [Block] {
            let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let text = try String(contentsOf: root.appendingPathComponent("docs/tutorial.md"), encoding: .utf8)
            var blocks: [Block] = []
            var isOpen = false
            for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
                if line.hasPrefix("```") {
                    if !isOpen { blocks.append(Block(language: String(line.dropFirst(3)), lines: [])) }
                    isOpen.toggle()
                } else if isOpen {
                    blocks[blocks.count - 1].lines.append(line)
                }
            }
            return blocks
        }

        @Test func `every command of the tutorial works and prints what the page says`() throws {
            let blocks = try Self.blocks()
            let directory = try Executable.scratch("tutorial")
            defer { try? FileManager.default.removeItem(at: directory) }
            let mark = "=== end of block"
            let ports = (try Broker.freePort(), try Broker.freePort())
            let script =
                "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
                + blocks.filter { $0.language == "sh" }.map { $0.lines.joined(separator: "\n") + "\necho '\(mark)'\n" }
                .joined()
                .replacingOccurrences(of: ":8080", with: ":\(ports.0)")
                .replacingOccurrences(of: ":8081", with: ":\(ports.1)")
            try Data(script.utf8).write(to: directory.appendingPathComponent("tutorial.sh"))
            let bin = Executable.binary.deletingLastPathComponent().path
            let output = try run(
                "bash", ["-c", "cd '\(directory.path)' && PATH='\(bin)':$PATH exec bash tutorial.sh 2>&1"], seconds: 120
            )
            var outputs = output.components(separatedBy: mark + "\n")
            #expect(outputs.count == blocks.count { $0.language == "sh" } + 1, "\(output)")
            var last = ""
            for block in blocks {
                if block.language == "sh" {
                    last = outputs.isEmpty ? "" : outputs.removeFirst()
                    continue
                }
                for line in block.lines {
                    // Three dots stand for what differs each time.
                    var rest = last[...]
                    for part in line.components(separatedBy: "...") {
                        let place = rest.range(of: part)
                        #expect(part.isEmpty || place != nil, "\"\(line)\" is not in: \(last)")
                        if let place { rest = rest[place.upperBound...] }
                    }
                }
            }
        }
    }
}
