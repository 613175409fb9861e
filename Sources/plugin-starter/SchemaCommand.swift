internal import Reporting
internal import Schemas
internal import Settings

/// `schema`: prints a document of `schemas/`.
nonisolated enum SchemaCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        guard let name = settings.operands.first else {
            let members = Schema.allCases.map { "\"\($0.rawValue)\": \($0.text.dropLast())" }
            Console.print("{" + members.joined(separator: ",\n") + "}")
            return 0
        }
        guard let schema = Schema(rawValue: name) else {
            let names = Schema.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(64, "schema \(name.printable): must be one of: \(names)")
        }
        Console.print(schema.text, terminator: "")
        return 0
    }
}
