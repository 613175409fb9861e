import Foundation
import Testing

@testable import Core

extension OnABroker {
    @Suite struct Admin {
        @Test func `liveness, readiness and metrics are served`() throws {
            let bench = try WorkerHarness("admin")
            let worker = try bench.worker(["--admin-listen", "127.0.0.1:0"])
            let admin = try worker.adminURL()
            try bench.publish([.plain("a"), .plain("a"), .plain("b", host: "unknown-b")])
            try bench.waitForResults(3, worker)
            #expect(try run("curl", ["-s", "\(admin)/livez"]) == "ok\n")
            try eventually("ready", seconds: 10) { try run("curl", ["-s", "\(admin)/readyz"]) == "ok\n" }
            try eventually("the metrics count what happened", seconds: 10) {
                let text = try run("curl", ["-s", "\(admin)/metrics"])
                return [
                    #"requests_total{status="succeeded",category=""} 1"#,
                    #"requests_total{status="duplicate",category=""} 1"#,
                    #"requests_total{status="failed",category="host"} 1"#, #"calls_total{result="succeeded"} 1"#,
                    #"calls_total{result="host"} 1"#, "open_requests 0", "request_seconds_count 3",
                ].allSatisfy { text.contains("plugin_starter_" + $0) }
            }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
        }

        @Test func `three hundred slow clients do not block a probe`() throws {
            let bench = try WorkerHarness("admin-slow")
            let worker = try bench.worker(["--admin-listen", "127.0.0.1:0"])
            let admin = try worker.adminURL()
            let port = try #require(UInt16(admin.split(separator: ":").last ?? ""))
            // A third of the clients send nothing, a third send part of a request, and a third send a whole request and
            // keep the connection open.
            let texts = ["", "GET /livez HTTP/1.1\r\nHo", "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"]
            var sockets: [Int32] = []
            defer { for socket in sockets { close(socket) } }
            for number in 0..<300 {
                let socket = try Self.connect(port)
                sockets.append(socket)
                let text = texts[number % 3]
                unsafe _ = send(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL))
                if number % 30 == 29 { #expect(try run("curl", ["-s", "-m", "3", "\(admin)/livez"]) == "ok\n") }
            }
            for _ in 0..<5 { #expect(try run("curl", ["-s", "-m", "3", "\(admin)/livez"]) == "ok\n") }
            worker.signal(SIGTERM)
            #expect(try worker.wait() == 0)
            #expect(!worker.errors.contains("no authentication"))
        }

        static func connect(_ port: UInt16) throws -> Int32 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            address.sin_port = port.bigEndian
            let code = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard code == 0 else { throw Unmet("no connection to port \(port): error \(errno)") }
            return descriptor
        }

        @Test func `it listens at an IPv6 address`() throws {
            let bench = try WorkerHarness("admin-six")
            let worker = try bench.worker(["--admin-listen", "[::1]:0"])
            let admin = try worker.adminURL()
            #expect(admin.hasPrefix("http://[::1]:"))
            #expect(try run("curl", ["-sg", "-m", "3", "\(admin)/livez"]) == "ok\n")
        }

        @Test func `an address that other machines can reach gives a warning`() throws {
            let bench = try WorkerHarness("admin-open")
            let worker = try bench.worker(["--admin-listen", "0.0.0.0:0"])
            #expect(worker.errors.contains("the admin endpoint has no authentication"))
        }
    }
}
