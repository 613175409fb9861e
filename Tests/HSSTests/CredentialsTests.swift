import Foundation
import Testing

@testable import Core
@testable import HSS

@Suite struct CredentialsTests {
    @Test func `keys and a user are read under the vendor's names, and secrets do not print`() throws {
        let keys = try Credentials(environment: [
            "HUAWEICLOUD_SDK_AK": "ak", "HUAWEICLOUD_SDK_SK": "hidden-sk",
            "HUAWEICLOUD_SDK_SECURITY_TOKEN": "hidden-token",
        ])
        #expect(
            keys.identity
                == .keys(accessKey: "ak", secretKey: Secret("hidden-sk"), securityToken: Secret("hidden-token")))
        #expect(!"\(keys.identity)".contains("hidden"))
        var dumped = ""
        dump(keys.identity, to: &dumped)
        #expect(!dumped.contains("hidden"))
        let user = try Credentials(environment: [
            "HUAWEICLOUD_SDK_USERNAME": "u", "HUAWEICLOUD_SDK_PASSWORD": "pw", "HUAWEICLOUD_SDK_DOMAIN": "d",
        ])
        #expect(user.identity == .user(name: "u", password: Secret("pw"), domain: "d"))
    }

    @Test(arguments: [
        ([:], "HUAWEICLOUD_SDK_AK is not set"), (["AK": "a"], "HUAWEICLOUD_SDK_SK is not set"),
        (["AK": "a", "SK": "s", "USERNAME": "u"], "not both"),
        (["USERNAME": "u", "DOMAIN": "d"], "PASSWORD is not set"),
        (["AK": "a", "AK_FILE": "/x", "SK": "s"], "both set"),
        (["AK_FILE": "/no/such/file", "SK": "s"], "cannot be read"),
        (["AK": "a\nb", "SK": "s"], "line breaks"),
    ]) func `a missing or duplicate variable is named`(_ short: [String: String], _ says: String) {
        let environment = Dictionary(uniqueKeysWithValues: short.map { ("HUAWEICLOUD_SDK_" + $0.key, $0.value) })
        let error = #expect(throws: CredentialsError.self) { try Credentials(environment: environment) }
        #expect(error?.description.contains(says) ?? false, "\(String(describing: error))")
    }

    @Test func `a file that changes is read again`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("sk-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try "first\n".write(to: file, atomically: true, encoding: .utf8)
        var credentials = try Credentials(environment: [
            "HUAWEICLOUD_SDK_AK": "ak", "HUAWEICLOUD_SDK_SK_FILE": file.path,
        ])
        #expect(credentials.identity == .keys(accessKey: "ak", secretKey: Secret("first"), securityToken: nil))
        let unchanged = credentials.refresh(now: Uptime(.seconds(10)))
        #expect(!unchanged)
        try "second-one\n".write(to: file, atomically: true, encoding: .utf8)
        let changed = credentials.refresh(now: Uptime(.seconds(20)))
        #expect(changed)
        #expect(credentials.identity == .keys(accessKey: "ak", secretKey: Secret("second-one"), securityToken: nil))
    }
}
