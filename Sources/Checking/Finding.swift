/// One line of `check`: what was looked at, what was found, what is wanted and how to get there.
package struct Finding: Equatable, Sendable {
    /// A warning does not keep the worker from its work. An error does, or makes it break a promise.
    package enum Level: String, Sendable { case ok, warning, error }

    /// What a finding is about. Scripts depend on these names.
    package enum What: String, CaseIterable, Sendable {
        case openFiles = "open-files"
        case policy
        case quota
        case library
        case brokers
        case tls
        case requestsTopic = "requests-topic"
        case resultsTopic = "results-topic"
        case partitions
        case cleanupPolicy = "cleanup-policy"
        case retention
        case replication
        case messageSize = "message-size"
        case rights
        case group
        case recordTimes = "record-times"
        case endpoint
        case hss
        case clock
        case credentials
        case plugins
    }

    package var what: What
    package var level: Level
    package var found: String
    /// Empty if what was found is wanted.
    package var wanted = ""
    package var remedy = ""
    /// The setting that is wrong, for the message of `run`.
    package var setting: String?
    /// The exit code of `run` if it ends because of this finding.
    package var exitCode: Int32 = 64

    package static func ok(_ what: What, _ found: String) -> Finding { Finding(what: what, level: .ok, found: found) }

    package static func warning(_ what: What, _ found: String, wanted: String, remedy: String) -> Finding {
        Finding(what: what, level: .warning, found: found, wanted: wanted, remedy: remedy)
    }

    package static func error(
        _ what: What, _ found: String, wanted: String, remedy: String, setting: String? = nil, exitCode: Int32 = 64
    ) -> Finding {
        Finding(
            what: what, level: .error, found: found, wanted: wanted, remedy: remedy, setting: setting,
            exitCode: exitCode)
    }

    /// The finding as the message with which `run` ends.
    package var sentence: String {
        (setting.map { "\($0): " } ?? "") + found + (remedy.isEmpty ? "" : ": \(remedy)")
    }
}
