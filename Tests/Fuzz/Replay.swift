import Foundation
import Testing

@testable import Core

/// The corpus. It contains seeds that show what each target's input looks like, and every input that once broke
/// something.
@Suite struct FuzzTests {
    static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("corpus")

    @Test(arguments: Target.all.map(\.name)) func `each property holds for the corpus`(_ name: String) throws {
        let target = try #require(Target.all.first { $0.name == name })
        let files = try FileManager.default.contentsOfDirectory(
            at: Self.corpus.appendingPathComponent(name), includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        for file in files {
            let bytes = Array(try Data(contentsOf: file))
            #expect(bytes.count <= target.maximumBytes, "\(file.lastPathComponent)")
            #expect(throws: Never.self, "\(name)/\(file.lastPathComponent)") { try target.check(bytes) }
        }
    }

    @Test func `every folder of the corpus has its target`() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: Self.corpus.path)
        #expect(Set(folders) == Set(Target.all.map(\.name)))
    }
}
