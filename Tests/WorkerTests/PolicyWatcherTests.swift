import Foundation
import Testing

@testable import Core
@testable import Worker

@Suite struct PolicyWatcherTests {
    private let file = FileManager.default.temporaryDirectory.appendingPathComponent("policy-\(UUID().uuidString)")

    /// A policy whose text is its maximum of hosts.
    private func watcher() throws -> PolicyWatcher {
        try write("1")
        let source = PolicySource(path: file.path) { bytes in
            guard let number = Int(String(decoding: bytes, as: UTF8.self)) else {
                return .failure(PolicyError("not a number"))
            }
            var policy = Policy()
            policy.maximumHosts = number
            return .success(policy)
        }
        return try #require(PolicyWatcher(source))
    }

    private func write(_ text: String) throws { try Data(text.utf8).write(to: file) }

    private static func second(_ number: Int) -> Uptime { Uptime(.seconds(100 + number)) }

    @Test func `a file is read when it changed and then stayed the same for a second`() throws {
        var watcher = try watcher()
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(watcher.refresh(now: Self.second(0), forced: false) == nil)
        #expect(watcher.refresh(now: Self.second(0) + .milliseconds(999), forced: false) == nil)
        #expect(try watcher.refresh(now: Self.second(1), forced: false)?.get().maximumHosts == 1)
        #expect(watcher.refresh(now: Self.second(2), forced: false) == nil)
        try write("22")
        #expect(watcher.refresh(now: Self.second(3), forced: false) == nil)
        try write("333")
        #expect(watcher.refresh(now: Self.second(4), forced: false) == nil, "it changed again")
        #expect(try watcher.refresh(now: Self.second(5), forced: false)?.get().maximumHosts == 333)
    }

    @Test func `a forced read waits for nothing`() throws {
        var watcher = try watcher()
        defer { try? FileManager.default.removeItem(at: file) }
        try write("22")
        #expect(try watcher.refresh(now: Self.second(0), forced: true)?.get().maximumHosts == 22)
        #expect(try watcher.refresh(now: Self.second(0), forced: true)?.get().maximumHosts == 22)
        #expect(watcher.refresh(now: Self.second(1), forced: false) == nil)
    }

    @Test(arguments: ["broken", "", nil] as [String?])
    func `a file that is broken, empty or gone is reported once, until it is good again`(_ text: String?) throws {
        var watcher = try watcher()
        defer { try? FileManager.default.removeItem(at: file) }
        _ = watcher.refresh(now: Self.second(0), forced: true)
        if let text { try write(text) } else { try FileManager.default.removeItem(at: file) }
        #expect(watcher.refresh(now: Self.second(1), forced: false) == nil)
        let refused = watcher.refresh(now: Self.second(2), forced: false)
        guard case .failure? = refused else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(watcher.refresh(now: Self.second(3), forced: false) == nil)
        try write("4444")
        _ = watcher.refresh(now: Self.second(4), forced: false)
        #expect(try watcher.refresh(now: Self.second(5), forced: false)?.get().maximumHosts == 4444)
    }

    @Test func `what cannot be read again is not watched`() {
        let source = PolicySource(path: "/dev/null") { _ in .success(Policy()) }
        #expect(PolicyWatcher(source) == nil)
    }
}
