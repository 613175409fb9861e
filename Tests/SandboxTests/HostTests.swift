import Testing

@testable import Core
@testable import HSS
@testable import Sandbox

/// The sandbox checks the signature with the `Host` that arrived, as the gateway does.
@Suite struct HostTests {
    @Test(arguments: [
        ("https://hss.example:443", "https://hss.example", "hss.example"),
        ("http://hss.example:80/", "http://hss.example", "hss.example"),
        ("https://hss.example:80", "https://hss.example:80", "hss.example:80"),
        ("https://HSS.Example:0443", "https://hss.example", "hss.example"),
        ("http://127.0.0.1:08081", "http://127.0.0.1:8081", "127.0.0.1:8081"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]", "[2001:db8::1]"),
        ("http://[::1]:8081", "http://[::1]:8081", "[::1]:8081"),
    ]) func `an endpoint has its host in lower case and no default port`(_ text: String, _ url: String, _ host: String)
    {
        #expect(Endpoint(url: text)?.url == url)
        #expect(Endpoint(url: text)?.host == host)
    }

    @Test(arguments: [
        "https://", "https://:443", "https://h:", "https://h:0", "https://h:65536", "https://h:+443", "https://h:x",
        "https://[::1", "https://[::1]8081", "https://[fe80::1%25eth0]", "https://a@b", "https://h/v5", "ftp://h",
    ]) func `an invalid base URL is no endpoint`(_ text: String) {
        #expect(Endpoint(url: text) == nil)
    }

    /// Port 80 of an address of the test's own needs root.
    @Test func `a call to the scheme's default port is signed as it arrives`() throws {
        let pair = try SandboxTests.Pair { ($0.address, $0.port) = ("127.0.0.78", 80) }
        defer { pair.sandbox.stop() }
        for url in ["http://127.0.0.78:80", "http://127.0.0.78", "http://127.0.0.78:00080/"] {
            pair.client = try SandboxTests.Pair.client(
                url, ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"], .seconds(5))
            let reply = try pair.start(["a"])
            #expect(reply.httpStatus == 200, "\(url): \(reply.errorMessage ?? "\(reply)")")
        }
    }

    @Test func `a host name in upper case is signed as it arrives`() throws {
        let pair = try SandboxTests.Pair()
        defer { pair.sandbox.stop() }
        pair.client = try SandboxTests.Pair.client(
            pair.sandbox.baseURL.replacing("127.0.0.1", with: "LOCALHOST"),
            ["HUAWEICLOUD_SDK_AK": "sandbox", "HUAWEICLOUD_SDK_SK": "sandbox-secret"], .seconds(5))
        #expect(try pair.start(["a"]).httpStatus == 200)
    }

    @Test func `the journal names the worker that called, in a header that is not signed`() throws {
        let pair = try SandboxTests.Pair()
        defer { pair.sandbox.stop() }
        #expect(try pair.start(["a"]).httpStatus == 200)
        let journal = try TokenTests.run("curl", ["-sf", "\(pair.sandbox.baseURL)/_sandbox/journal"])
        #expect(journal.contains(#""worker":"instance""#))
    }
}
