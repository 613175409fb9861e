import Foundation
import Testing

@testable import Settings

/// The README's table is the one that the program prints. With UPDATE_EXAMPLES=1 it is written anew.
@Suite struct ReadmeTests {
    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("README.md")
    static let marker =
        "<!-- settings: made by the table in Sources/Settings/SettingTable.swift, checked by a test -->\n"

    @Test func `the settings table is up to date`() throws {
        let text = try String(contentsOf: Self.file, encoding: .utf8)
        let start = try #require(text.range(of: Self.marker)?.upperBound)
        if ProcessInfo.processInfo.environment["UPDATE_EXAMPLES"] == "1" {
            try (text[..<start] + Help.markdownTable).write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(written.hasSuffix(Self.marker + Help.markdownTable))
    }

    @Test func `each file that the README names is there`() throws {
        let text = try String(contentsOf: Self.file, encoding: .utf8)
        let names = text.split(separator: "`").map(String.init).filter { $0.hasSuffix(".swift") && $0.contains("/") }
        #expect(names.count > 8)
        let root = Self.file.deletingLastPathComponent()
        for name in names {
            let path = name.hasPrefix("Sources/") ? name : "Sources/" + name
            #expect(FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path), "\(name)")
        }
    }
}
