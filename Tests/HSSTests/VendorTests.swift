import Foundation
import Testing

@testable import Core
@testable import HSS
@testable import HTTP

/// A Python with the vendor's SDK; `make test` makes one.
private let python: String? = {
    let path = ProcessInfo.processInfo.environment["VENDOR_PYTHON"]
    guard let path, FileManager.default.isExecutableFile(atPath: path) else {
        print("SKIPPED: the check against the vendor's SDK needs VENDOR_PYTHON (make test sets it)")
        return nil
    }
    return path
}()

@Suite(.enabled(if: python != nil, "VENDOR_PYTHON is not set")) struct VendorTests {
    @Test func `a server with the vendor's signing code accepts two hundred random requests`() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(python))
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/vendor_check.py")
        process.arguments = [script.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        defer {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        let line = String(decoding: pipe.fileHandleForReading.availableData, as: UTF8.self)
        let port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))

        let client = try HSSClient(
            .init(hss: try #require(Endpoint(url: "http://127.0.0.1:\(port)"))),
            credentials: try Credentials(
                environment: ["HUAWEICLOUD_SDK_AK": "vendor-ak", "HUAWEICLOUD_SDK_SK": "vendor-sk"]),
            http: HTTPClient.Configuration())
        var generator = SplitMix64(seed: 2026)
        func text(_ length: ClosedRange<Int>) -> String {
            // No slash and no percent sign: the vendor's SDK takes a path apart after decoding it.
            let alphabet = Array("abcXYZ019-_.~ ?#&=+*'()éß漢字😀")
            return String(
                (0..<Int.random(in: length, using: &generator)).map { _ in
                    alphabet.randomElement(using: &generator) ?? "a"
                })
        }
        var replies: [CallID: Reply] = [:]
        for id in 0..<200 {
            let now = Now(uptime: .zero, wall: Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)))
            let project = "p" + text(0...20)
            let enterprise = Bool.random(using: &generator) ? text(1...10) : nil
            let hosts = (0..<Int.random(in: 1...5, using: &generator)).map { _ in text(1...12) }
            if id % 4 == 3 {
                client.status(
                    StatusQuery(
                        id: CallID(id), projectID: project, enterpriseProjectID: enterprise, pluginCode: "ndr",
                        hostIDs: hosts,
                        offset: id, limit: 200), now: now)
            } else {
                client.start(
                    StartCall(
                        id: CallID(id), projectID: project, enterpriseProjectID: enterprise, pluginCode: text(1...9),
                        operateAll: false, hostIDs: hosts), now: now)
            }
            replies.merge(try answers(client, 1)) { $1 }
        }
        #expect(replies.count == 200)
        for (id, reply) in replies.sorted(by: { $0.key < $1.key }) {
            #expect(reply.httpStatus == 200, "request \(id): \(reply.errorMessage ?? "\(reply)")")
        }
    }
}

/// Turns the client until so many replies came.
func answers(_ client: HSSClient, _ count: Int, seconds: Double = 10) throws -> [CallID: Reply] {
    var replies: [CallID: Reply] = [:]
    let deadline = Date().addingTimeInterval(seconds)
    while replies.count < count {
        guard Date() < deadline else { throw CancellationError() }
        var watched = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
        unsafe _ = poll(&watched, 1, 5)
        let now = Now(
            uptime: Uptime(.seconds(ProcessInfo.processInfo.systemUptime)),
            wall: Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)))
        for (id, reply) in client.turn(now: now) { replies[id] = reply }
    }
    return replies
}
