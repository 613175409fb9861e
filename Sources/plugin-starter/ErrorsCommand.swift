internal import Core
internal import Settings

/// `errors`: prints the table that decides what a failed call means.
nonisolated enum ErrorsCommand {
    static func run(_ settings: Settings) -> Int32 {
        // Without a code the status decides. These statuses have a meaning of their own.
        let statuses = [302, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504].map { Failure.row(httpStatus: $0) }
        let rows = Failure.table + statuses
        if settings.value(SettingTable.json) {
            for row in rows { Console.print(String(decoding: json(row).bytes, as: UTF8.self)) }
            return 0
        }
        Console.print(line(["CODE", "HTTP", "CATEGORY", "WORKER", "SCOPE", "MEANING"]))
        for row in rows { Console.print(line(cells(row))) }
        Console.print("\n" + line(["CATEGORY", "WHAT TO DO"], [10, 0]))
        for category in Failure.Category.allCases {
            Console.print(line([category.rawValue, category.remedy], [10, 0]))
        }
        return 0
    }

    /// Gateway codes have the prefix APIGW or APIG.
    private static func name(_ row: Failure.Row) -> String { row.code.hasPrefix(".") ? "APIGW" + row.code : row.code }

    private static func cells(_ row: Failure.Row) -> [String] {
        [
            name(row), row.httpStatus.map(String.init) ?? "any", row.category.rawValue, row.disposition.rawValue,
            row.scope.rawValue, row.title,
        ]
    }

    private static func line(_ cells: [String], _ widths: [Int] = [11, 5, 10, 7, 11, 0]) -> String {
        zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: max(0, width - cell.count))
        }.joined(separator: " ")
    }

    private static func json(_ row: Failure.Row) -> JSON {
        var members: [JSON.Member] = [.init("code", .string(name(row)))]
        if let status = row.httpStatus { members.append(.init("http_status", .integer(Int64(status)))) }
        members += [
            .init("category", .string(row.category.rawValue)), .init("disposition", .string(row.disposition.rawValue)),
            .init("scope", .string(row.scope.rawValue)), .init("title", .string(row.title)),
            .init("remedy", .string(row.category.remedy)),
        ]
        return .object(members)
    }
}
