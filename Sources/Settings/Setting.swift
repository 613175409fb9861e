/// The commands, each with the name that the user types.
package enum Command: String, CaseIterable, Sendable {
    case run, demo, request, results, explain, redrive, audit, plan, check, errors, schema, sandbox, broker
    case completion, man

    package var summary: String {
        switch self {
        case .run: "runs the worker, which consumes requests, calls HSS and publishes results"
        case .demo: "runs the worker with an embedded broker and a sandbox, and prints a table that must add up"
        case .request: "publishes requests: one from flags, or those of FILE, one per line (- is standard input)"
        case .results: "shows results from the results topic, or counts them"
        case .explain: "tells everything that is known about an idempotency key, and what comes next"
        case .redrive: "sends failed or dead-lettered requests again, after it has shown what that costs"
        case .audit: "proves or refutes that every request has exactly one right result"
        case .plan:
            "shows what the worker would do with requests from FILE or the topic: calls, hosts, minutes, refusals"
        case .check:
            "checks brokers, topics, rights, clocks, credential and policy before the first request, and names remedies"
        case .errors: "prints the table of HSS error codes: what each means and what the worker does about it"
        case .schema:
            "prints the JSON Schema of requests, of results or of the policy file, or the AsyncAPI document; default: all as one object"
        case .sandbox: "runs a stand-in for HSS and IAM on this machine"
        case .broker: "runs an embedded broker without durability, for trying things out"
        case .completion: "prints a completion script for a shell"
        case .man: "prints the manual page (roff)"
        }
    }

    /// The placeholder of the one argument that is not a flag: `FILE`, or the words that it can be, as `a|b`.
    package var operand: String? {
        switch self {
        case .request, .plan: "FILE"
        case .explain: "KEY"
        case .schema: "request|result|asyncapi|policy"
        case .completion: Shell.allCases.map(\.rawValue).joined(separator: "|")
        default: nil
        }
    }
}

/// One row of the settings table, without the value's type.
package struct SettingRow: Sendable {
    package let name: String
    package let placeholder: String
    /// All valid texts; empty where there are too many.
    package let choices: [String]
    /// The default as a user would type it; nil if there is none.
    package let defaultText: String?
    package let commands: [Command]
    package let isRepeatable: Bool
    package let isSecret: Bool
    /// The value of a flag that is given without one; nil if the flag requires a value.
    package let bareText: String?
    package let help: String
    /// Defaults that differ for single commands.
    package let commandDefaults: [Command: String]
    let check: @Sendable (String) throws(ValueError) -> any Sendable

    package var environmentName: String {
        "PLUGIN_STARTER_" + name.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
    }

    /// Whether a text given for this setting may be printed. A secret may not, nor may an address with a password in
    /// it.
    func mayTell(_ text: String) -> Bool { !isSecret && !text.contains("@") }

    func defaultText(for command: Command) -> String? { commandDefaults[command] ?? defaultText }
}

/// A key into `Settings`, typed by its value.
package struct Setting<Value: Sendable>: Sendable {
    package let row: SettingRow

    package init(
        _ name: String, _ type: ValueType<Value>, default text: String? = nil, _ commands: [Command],
        repeatable: Bool = false, secret: Bool = false, bare: String? = nil, overrides: [Command: String] = [:],
        _ help: String
    ) {
        let parse = type.parse
        row = SettingRow(
            name: name, placeholder: type.placeholder, choices: type.choices, defaultText: text, commands: commands,
            isRepeatable: repeatable,
            isSecret: secret, bareText: type.placeholder.isEmpty ? "true" : bare, help: help,
            commandDefaults: overrides,
            check: { (text) throws(ValueError) in try parse(text) })
    }
}
