internal import Core
internal import Kafka

/// Why the Kafka clients make no progress, from their latest reports. A failure stands until the same operation works
/// again.
struct ClientHealth {
    enum Part: Int, CaseIterable {
        /// Cleared by any answer, or by statistics that show a connected broker.
        case connection
        /// Cleared by a record of the requests topic, or by the end of a partition.
        case requests
        /// Cleared by a commit or an assignment.
        case group
        /// Cleared by an acknowledged result.
        case results
    }

    private struct Failure {
        var reason: String
        var since: Timestamp
    }

    private var standing: [Part: Failure] = [:]
    /// Why a broker was last lost. While other brokers are connected, a lost broker is not yet a reason.
    private var lastLoss: KafkaError?

    mutating func failed(_ part: Part, _ reason: String, _ now: Timestamp) {
        standing[part] = Failure(reason: reason, since: standing[part]?.since ?? now)
    }

    mutating func worked(_ part: Part) {
        standing[part] = nil
        if part == .connection { lastLoss = nil } else { standing[.connection] = nil }
    }

    func isStanding(_ part: Part) -> Bool { standing[part] != nil }

    /// Takes an error that may concern the connection.
    mutating func lost(_ error: KafkaError, _ now: Timestamp) {
        guard error.right == nil, [.unreachable, .notPermitted, .insecure].contains(error.kind) else { return }
        if error.isAllBrokersDown {
            failed(.connection, Self.text(lastLoss ?? error), now)
        } else {
            lastLoss = error
            if isStanding(.connection) || error.kind == .notPermitted { failed(.connection, Self.text(error), now) }
        }
    }

    /// Takes the connection state from the consumer's statistics, every few seconds.
    mutating func sawConnection(_ isConnected: Bool, _ now: Timestamp) {
        if isConnected { return worked(.connection) }
        failed(.connection, lastLoss.map(Self.text) ?? "no broker is connected", now)
    }

    private static func text(_ error: KafkaError) -> String { "no broker can be used: \(error)" }

    var reasons: [String] {
        Part.allCases.compactMap { part in
            standing[part].map { "\($0.reason), since \($0.since)" }
        }
    }
}
