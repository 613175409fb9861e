package import Core

package struct CredentialsError: Error, Equatable, CustomStringConvertible {
    package var variable: String
    package var rule: String
    package var description: String { "\(variable) \(rule)" }
}

/// The credential for calls: an access key, or a user whose token comes from IAM. Read from the environment under the
/// vendor's own names, or from the files that `NAME_FILE` names. Changed files are read again.
package struct Credentials {
    package enum Identity: Equatable, Sendable {
        case keys(accessKey: String, secretKey: Secret, securityToken: Secret?)
        case user(name: String, password: Secret, domain: String)
    }

    package private(set) var identity: Identity
    private let environment: [String: String]
    private var versions: [String: FileVersion]
    private var checkedAt: Uptime = .zero

    private static let prefix = "HUAWEICLOUD_SDK_"
    private static let names = ["AK", "SK", "SECURITY_TOKEN", "USERNAME", "PASSWORD", "DOMAIN"]

    package init(environment: [String: String]) throws(CredentialsError) {
        self.environment = environment
        versions = Self.versions(environment)
        identity = try Self.read(environment)
    }

    /// Checks at most once a second whether a file changed. Returns true if the credential changed. An unreadable file
    /// leaves the old credential in place.
    package mutating func refresh(now: Uptime) -> Bool {
        guard !versions.isEmpty, now - checkedAt >= .seconds(1) else { return false }
        checkedAt = now
        let current = Self.versions(environment)
        guard current != versions, let fresh = try? Self.read(environment) else { return false }
        versions = current
        guard fresh != identity else { return false }
        identity = fresh
        return true
    }

    private static func read(_ environment: [String: String]) throws(CredentialsError) -> Identity {
        var values: [String: String] = [:]
        for name in names { values[name] = try value(name, environment) }
        let (keys, user) = (["AK", "SK"], ["USERNAME", "PASSWORD", "DOMAIN"])
        let hasKeys = keys.contains { values[$0] != nil }
        let hasUser = user.contains { values[$0] != nil }
        if hasKeys && hasUser {
            throw CredentialsError(
                variable: prefix + "AK",
                rule: "and \(prefix)USERNAME are both set: give an access key or a user, not both")
        }
        for name in hasUser ? user : keys where values[name] == nil {
            throw CredentialsError(variable: prefix + name, rule: "is not set (nor is \(prefix)\(name)_FILE)")
        }
        if hasUser {
            return .user(
                name: values["USERNAME"] ?? "", password: Secret(values["PASSWORD"] ?? ""),
                domain: values["DOMAIN"] ?? "")
        }
        return .keys(
            accessKey: values["AK"] ?? "", secretKey: Secret(values["SK"] ?? ""),
            securityToken: values["SECURITY_TOKEN"].map(Secret.init))
    }

    private static func value(_ name: String, _ environment: [String: String]) throws(CredentialsError) -> String? {
        let variable = prefix + name
        // An empty variable means "none", as in many tools.
        let direct = environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        let file = environment[variable + "_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        if direct != nil && file != nil {
            throw CredentialsError(variable: variable, rule: "and \(variable)_FILE are both set: keep one")
        }
        var text = direct
        if let file {
            guard let bytes = FileVersion.contents(of: file) else {
                throw CredentialsError(variable: variable + "_FILE", rule: "names a file that cannot be read: \(file)")
            }
            guard let read = String(validating: bytes, as: UTF8.self) else {
                throw CredentialsError(
                    variable: variable + "_FILE", rule: "names a file that is not UTF-8 text: \(file)")
            }
            text = String(read.reversed().drop { $0.isNewline || $0 == " " }.reversed())
            if text?.isEmpty ?? true {
                throw CredentialsError(variable: variable + "_FILE", rule: "names an empty file: \(file)")
            }
        }
        if let text, text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) {
            throw CredentialsError(variable: variable, rule: "must not contain control characters or line breaks")
        }
        return text
    }

    private static func versions(_ environment: [String: String]) -> [String: FileVersion] {
        var found: [String: FileVersion] = [:]
        for name in names {
            guard let file = environment[prefix + name + "_FILE"], !file.isEmpty else { continue }
            found[file] = FileVersion(of: file)
        }
        return found
    }
}
