package import Core

extension Sandbox {
    package struct Configuration: Sendable {
        package var address = "127.0.0.1"
        /// 0 takes any free port.
        package var port: UInt16 = 0
        /// How many calls a user may make of each API; nil is no limit.
        package var quota: RateLimit? = RateLimit(calls: 5, window: .seconds(60))
        package var accessKey = "sandbox"
        package var secretKey = Secret("sandbox-secret")
        package var user = "sandbox"
        package var password = Secret("sandbox-password")
        package var domain = "sandbox"
        /// The only hosts that exist; nil means that any host exists unless its name marks it as unknown.
        package var hosts: Set<String>?
        /// How long a plugin stays `starting` after its start.
        package var startDelay: Duration = .seconds(2)
        /// The delay added to every answer.
        package var latency: Duration = .zero
        package var faults: [Fault] = []
        /// How much a signature's date may differ from the sandbox's clock.
        package var maximumClockSkew: Duration = .seconds(900)
        package var tokenLife: Duration = .seconds(86_400)
        package var seed: UInt64 = 1

        package init() {}
    }
}

/// The kind of a host, from its name, so that a test can use any host without configuring the sandbox first.
enum HostKind {
    case good, unknown, withoutAgent, offline, notInstalled

    init(_ host: String, known: Set<String>?) {
        if host.hasPrefix("unknown-") || !(known?.contains(host) ?? true) {
            self = .unknown
        } else if host.hasPrefix("noagent-") {
            self = .withoutAgent
        } else if host.hasPrefix("offline-") {
            self = .offline
        } else if host.hasPrefix("notinstalled-") {
            self = .notInstalled
        } else {
            self = .good
        }
    }

    /// The states that ListPluginStatus reports for such a host; nil if it does not know the host. `started`: the state
    /// of a plugin that was started.
    func states(started: String?) -> (plugin: String, agent: String)? {
        switch self {
        case .unknown: nil
        case .withoutAgent: ("not_installed", "not_installed")
        case .offline: ("offline", "offline")
        case .notInstalled: ("not_installed", "online")
        case .good: (started ?? "stopped", "online")
        }
    }

    /// How StartPlugin refuses a call that names such a host; nil if it does not refuse.
    var refusal: (code: String, text: String)? {
        switch self {
        case .good: nil
        case .unknown: ("HSS.0011", "Resource not found.")
        case .withoutAgent: ("HSS.1001", "The agent is not installed on the server.")
        case .offline: ("HSS.1007", "The agent is offline.")
        case .notInstalled: ("HSS.0001", "Invalid parameter: the plugin is not installed.")
        }
    }
}
