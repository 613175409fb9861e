import Foundation
import Testing

@testable import Settings

/// The documents hold together: the table of settings is the program's own, and what they link to and name exists.
@Suite struct ReadmeTests {
    static let marker =
        "<!-- settings: made by the table in Sources/Settings/SettingTable.swift, checked by a test -->\n"

    /// With UPDATE_EXAMPLES=1 the table is written anew.
    @Test func `the settings table is up to date`() throws {
        let file = Document.root.appendingPathComponent("docs/settings.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let start = try #require(text.range(of: Self.marker)?.upperBound)
        if ProcessInfo.processInfo.environment["UPDATE_EXAMPLES"] == "1" {
            try (text[..<start] + Help.markdownTable).write(to: file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: file, encoding: .utf8)
        #expect(written.hasSuffix(Self.marker + Help.markdownTable))
    }

    @Test func `the README has at most 120 lines`() throws {
        let readme = try Document("README.md")
        #expect(readme.lines.count <= 120)
    }

    @Test func `each link leads to a file of the repository, and to a heading of it`() throws {
        let documents = try Document.all()
        #expect(documents.count > 8)
        var count = 0
        for document in documents {
            for link in document.links where !link.isExternal {
                count += 1
                guard let path = document.resolve(link.file) else {
                    Issue.record("\(document.path): \(link.target) leads out of the repository")
                    continue
                }
                #expect(Document.exists(path), "\(document.path): \(link.target)")
                guard let fragment = link.fragment else { continue }
                let anchors = path.hasSuffix(".md") && Document.exists(path) ? try Document(path).anchors : []
                #expect(anchors.contains(fragment), "\(document.path): \(link.target)")
            }
        }
        #expect(count > 40)
    }

    @Test func `a link whose text is code leads to a Swift file that holds the text`() throws {
        var count = 0
        for document in try Document.all() {
            for link in document.links where !link.isExternal && link.file.hasSuffix(".swift") {
                guard link.text.hasPrefix("`"), link.text.hasSuffix("`"), let path = document.resolve(link.file),
                    Document.exists(path)
                else { continue }
                count += 1
                let isHeld = try Document.text(path).contains(link.text.dropFirst().dropLast())
                #expect(isHeld, "\(document.path): \(link.text) in \(path)")
            }
        }
        #expect(count > 10)
    }

    @Test func `each file that a document names exists`() throws {
        var count = 0
        for document in try Document.all() {
            for path in document.paths {
                count += 1
                #expect(Document.exists(path), "\(document.path): \(path)")
            }
        }
        #expect(count > 40)
    }

    @Test func `lines of documents are at most 120 characters wide`() throws {
        for document in try Document.all() {
            for (number, line) in document.lines.enumerated()
            where line.count > 120 && !line.hasPrefix("|") && !line.contains("](") && !line.contains("://") {
                Issue.record("\(document.path):\(number + 1) has \(line.count) characters")
            }
        }
    }

    @Test(arguments: [
        ("Start request", "start-request"), ("What it costs: `make bench`", "what-it-costs-make-bench"),
        ("Errors: by code first, by status second", "errors-by-code-first-by-status-second"),
        ("See [the contract](docs/contract.md)", "see-the-contract"),
        ("`starter-ledger`, version 2", "starter-ledger-version-2"),
    ]) func `a heading has GitHub's anchor`(_ heading: String, _ anchor: String) {
        #expect(Document.anchor(heading) == anchor)
    }

    @Test func `links and file names in a text are found`() {
        let document = Document(
            path: "docs/x.md",
            text: "# A\n```\n# B\n`Tests/no.swift`\n```\n# A\nSee [`b`](../c.swift#d) and "
                + "`Sources/e.swift f/g.json x*/h.py`.\n")
        #expect(document.anchors == ["a", "a-1"])
        #expect(document.links.map(\.target) == ["../c.swift#d"])
        #expect(document.links.first?.fragment == "d")
        #expect(document.resolve("../c.swift") == "c.swift")
        #expect(document.resolve("../../c.swift") == nil)
        #expect(document.paths == ["Sources/e.swift", "f/g.json"])
    }
}

/// A Markdown file of the repository.
private struct Document {
    struct Link {
        var text: String
        var target: String
        var isExternal: Bool { target.contains("://") || target.hasPrefix("mailto:") }
        /// Empty where the target is a heading of the same file.
        var file: String { String(target.prefix { $0 != "#" }) }
        var fragment: String? { target.contains("#") ? String(target.drop { $0 != "#" }.dropFirst()) : nil }
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let extensions = [".swift", ".json", ".py", ".md", ".yml"]
    private static let folders = ["Sources/", "Tests/", "schemas/", "docs/", "deploy/", ".ci/"]

    /// From the root of the repository.
    let path: String
    let lines: [String]
    /// The lines outside fenced blocks.
    private let prose: [String]

    init(_ path: String) throws { self.init(path: path, text: try Self.text(path)) }

    init(path: String, text: String) {
        self.path = path
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last?.isEmpty ?? false { lines.removeLast() }
        self.lines = lines
        var isFenced = false
        prose = lines.filter { line in
            let isFence = line.drop { $0 == " " }.hasPrefix("```")
            if isFence { isFenced.toggle() }
            return !isFenced && !isFence
        }
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }

    /// Every Markdown file but those in hidden folders.
    static func all(in folder: String = "") throws -> [Document] {
        let names = try FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)
        return try names.sorted().filter { !$0.hasPrefix(".") }.flatMap { name in
            let path = folder.isEmpty ? name : "\(folder)/\(name)"
            var isFolder: ObjCBool = false
            unsafe _ = FileManager.default.fileExists(
                atPath: root.appendingPathComponent(path).path, isDirectory: &isFolder)
            if isFolder.boolValue { return try all(in: path) }
            return name.hasSuffix(".md") ? [try Document(path)] : []
        }
    }

    var links: [Link] {
        prose.flatMap { line in
            line.matches(of: #/\[([^\]]*)\]\(([^)\s]+)\)/#).map { Link(text: String($0.1), target: String($0.2)) }
        }
    }

    /// What `#fragment` can name: GitHub numbers equal headings.
    var anchors: [String] {
        var seen: [String: Int] = [:]
        return prose.filter { $0.contains(#/^#{1,6} /#) }.map { line in
            let anchor = Self.anchor(String(line.drop { $0 == "#" }.dropFirst()))
            defer { seen[anchor, default: 0] += 1 }
            return seen[anchor].map { "\(anchor)-\($0)" } ?? anchor
        }
    }

    static func anchor(_ heading: String) -> String {
        let text = heading.replacing(#/\[([^\]]*)\]\([^)]*\)/#) { String($0.1) }
        var anchor = ""
        for scalar in text.lowercased().unicodeScalars {
            let isKept = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
            if isKept || scalar == "-" || scalar == "_" { anchor.unicodeScalars.append(scalar) }
            if scalar == " " { anchor += "-" }
        }
        return anchor
    }

    /// Words in backticks that look like a file or folder of the repository, from its root.
    var paths: [String] {
        prose.flatMap { line in
            line.matches(of: #/`([^`]+)`/#).flatMap { $0.1.split(separator: " ").map(String.init) }
        }.filter { word in
            let isPath = Self.extensions.contains(where: word.hasSuffix) || Self.folders.contains(where: word.hasPrefix)
            return word.contains("/") && isPath && !word.contains(#/[*:<>{}$]/#)
        }
    }

    /// A relative link's file, from the root of the repository; nil where it leads out of it.
    func resolve(_ file: String) -> String? {
        if file.isEmpty { return path }
        var parts = path.split(separator: "/").dropLast().map(String.init)
        for part in file.split(separator: "/") {
            switch part {
            case ".": continue
            case "..": if parts.popLast() == nil { return nil }
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }
}
