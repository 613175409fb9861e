import Foundation
import Testing

extension OnABroker {
    @Suite struct NameServers {
        /// A name server that accepts every question and answers none, for as long as this object lives.
        final class Silent {
            static let address = "127.0.0.77"
            private let descriptor: Int32

            init() throws {
                descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
                var address = sockaddr_in()
                address.sin_family = sa_family_t(AF_INET)
                address.sin_port = UInt16(53).bigEndian
                unsafe _ = inet_pton(AF_INET, Self.address, &address.sin_addr)
                let code = unsafe withUnsafePointer(to: &address) { pointer in
                    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                guard code == 0 else {
                    throw Unmet("cannot listen at port 53 of \(Self.address), which needs root: error \(errno)")
                }
            }

            deinit { close(descriptor) }

            /// Whether a question is waiting for an answer.
            var isAsked: Bool {
                var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                return unsafe poll(&watched, 1, 0) == 1
            }
        }

        /// A worker with a resolv.conf of its own, in a mount namespace that no other process sees.
        static func worker(_ bench: WorkerHarness, _ directory: URL) throws -> Executable {
            let file = directory.appendingPathComponent("resolv.conf")
            try "nameserver \(Silent.address)\noptions timeout:15 attempts:2\n".write(
                to: file, atomically: true, encoding: .utf8)
            let arguments = bench.arguments([
                "--endpoint", "http://hss.silent.example", "--allow-plain-http", "--connect-timeout", "1s",
                "--call-timeout", "2s",
                "--admin-listen", "127.0.0.1:0",
            ])
            return try Executable(
                "unshare",
                [
                    "--mount", "bash", "-ec", "mount --bind \"$0\" /etc/resolv.conf; exec \"$@\"", file.path,
                    Executable.binary.path,
                ] + arguments, environment: WorkerHarness.credentials)
        }

        @Test func `a name server that does not answer delays only the calls`() throws {
            let silent = try Silent()
            let directory = try Executable.scratch("names")
            defer { try? FileManager.default.removeItem(at: directory) }
            let bench = try WorkerHarness("names")
            let worker = try Self.worker(bench, directory)
            try worker.says(" ready")
            let admin = try worker.adminURL()
            try bench.publish([.plain("waits")])
            try eventually("the name server is asked", seconds: 10) { silent.isAsked }
            try worker.says("call failed", seconds: 5)
            // The first question stays open for 30 s. Meanwhile other requests are answered, and more calls are tried.
            try bench.publish(bytes: Data("no request".utf8))
            try bench.waitForResults(1, seconds: 5, worker)
            let first = Date()
            try eventually("a second call fails", seconds: 10, otherwise: { worker.errors }) {
                worker.errors.split(separator: "\n").count { $0.contains("call failed") } >= 2
            }
            #expect(Date().timeIntervalSince(first) < 10)
            #expect(try run("curl", ["-s", "-m", "2", "\(admin)/livez"]) == "ok\n")
            worker.signal(SIGTERM)
            #expect(try worker.wait(seconds: 12) == 0, "\(worker.errors)")
        }
    }
}
