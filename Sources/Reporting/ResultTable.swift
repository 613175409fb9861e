package import Core

/// Results as the rows of a table. On a terminal the columns fit its width.
package struct ResultTable: Sendable {
    private enum Column: String, CaseIterable {
        case completed = "COMPLETED"
        case status = "STATUS"
        case key = "KEY"
        case project = "PROJECT"
        case plugin = "PLUGIN"
        case hosts = "HOSTS"
        case attempts = "TRIES"
        case error = "ERROR"
    }

    /// The columns and their widths; the error has what is left. The first layout that leaves 20 columns for the error
    /// is used.
    private static let layouts: [[(Column, Int)]] = [
        [(.completed, 24), (.status, 19), (.key, 32), (.project, 32), (.plugin, 8), (.hosts, 5), (.attempts, 5)],
        [(.completed, 19), (.status, 19), (.key, 24), (.project, 12), (.plugin, 8), (.hosts, 5), (.attempts, 5)],
        [(.completed, 19), (.status, 19), (.key, 18)],
        [(.status, 19), (.key, 16)],
        [(.status, 11)],
    ]

    private let columns: [(column: Column, width: Int)]
    /// Nil where lines may have any length.
    private let width: Int?
    private let isColoured: Bool

    /// `width`: that of the terminal; nil where the output is no terminal.
    package init(width: Int?, isColoured: Bool) {
        self.width = width
        self.isColoured = isColoured
        let fitting = Self.layouts.first { layout in
            layout.reduce(20) { $0 + $1.1 + 1 } <= width ?? .max
        }
        columns = fitting ?? Self.layouts[Self.layouts.count - 1]
    }

    package var header: String {
        line(columns.map { ($0.column.rawValue, $0.width) }, last: Column.error.rawValue, colour: nil)
    }

    package func row(_ result: JSON) -> String {
        let status = result["status"]?.string ?? ""
        let cells = columns.map { column, width in
            var text = self.text(column, result).printable
            if self.width != nil && column == .completed && width < 24 { text = String(text.prefix(width)) }
            return (text, width)
        }
        return line(cells, last: text(.error, result).printable, colour: isColoured ? Self.colour(status) : nil)
    }

    private func line(_ cells: [(text: String, width: Int)], last: String, colour: String?) -> String {
        var out = ""
        var used = 0
        for (index, cell) in cells.enumerated() {
            let text = (width == nil ? cell.text : cell.text.cut(to: cell.width)).padded(to: cell.width)
            let isStatus = columns[index].column == .status
            out += isStatus ? colour.map { "\u{1B}[\($0)m\(text)\u{1B}[0m" } ?? text : text
            out += " "
            used += text.columns + 1
        }
        return out + (width.map { last.cut(to: max(0, $0 - used)) } ?? last)
    }

    /// The number of a colour that terminals have (ECMA-48, SGR).
    private static func colour(_ status: String) -> String? {
        switch Status(rawValue: status) {
        case .succeeded: "32"
        case .partiallySucceeded, .expired, .conflict: "33"
        case .failed, .rejected: "31"
        case .duplicate: "2"
        case nil: nil
        }
    }

    private func text(_ column: Column, _ result: JSON) -> String {
        func named(_ name: String) -> String { result[name]?.string ?? "-" }
        switch column {
        case .completed: return result["completed_at"]?.string ?? ""
        case .status: return result["status"]?.string ?? ""
        case .key: return named("idempotency_key")
        case .project: return named("project_id")
        case .plugin: return named("plugin_code")
        case .hosts:
            return result["operate_all"]?.bool == true ? "all" : "\(result["host_id_list"]?.array?.count ?? 0)"
        case .attempts: return "\(result["attempts"]?.integer ?? 0)"
        case .error:
            let error = result["error"]
            return [error?["code"]?.string, error?["detail"]?.string ?? error?["title"]?.string].compactMap { $0 }
                .joined(separator: " ")
        }
    }
}
