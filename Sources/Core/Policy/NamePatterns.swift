/// A list of names and globs. In a glob `*` stands for any run of characters and `?` for one character. Texts are
/// compared as they are written, with case and without normalization.
package struct NamePatterns: Equatable, Sendable, ExpressibleByArrayLiteral {
    private var names: Set<ExactText> = []
    private var globs: Set<[Unicode.Scalar]> = []

    package init(_ patterns: some Sequence<String>) {
        for pattern in patterns {
            if pattern.utf8.contains(where: "*?".utf8.contains) {
                globs.insert(Array(pattern.unicodeScalars))
            } else {
                names.insert(ExactText(pattern))
            }
        }
    }

    package init(arrayLiteral patterns: String...) { self.init(patterns) }

    package var count: Int { names.count + globs.count }
    /// The names that are given in full, sorted.
    package var exactNames: [String] { names.map(\.text).sorted() }

    /// A name is found at once. A glob costs at most its length times that of the text.
    package func matches(_ text: String) -> Bool {
        if names.contains(ExactText(text)) { return true }
        guard !globs.isEmpty else { return false }
        let text = Array(text.unicodeScalars)
        return globs.contains { Self.matches(text, $0) }
    }

    /// After a mismatch the last `*` takes one character more. No earlier `*` has to be tried again.
    private static func matches(_ text: [Unicode.Scalar], _ glob: [Unicode.Scalar]) -> Bool {
        var (at, place) = (0, 0)
        var star: (place: Int, at: Int)?
        while at < text.count {
            if place < glob.count, glob[place] == "*" {
                star = (place, at)
                place += 1
            } else if place < glob.count, glob[place] == "?" || glob[place] == text[at] {
                (at, place) = (at + 1, place + 1)
            } else if let last = star {
                star = (last.place, last.at + 1)
                (at, place) = (last.at + 1, last.place + 1)
            } else {
                return false
            }
        }
        return glob[place...].allSatisfy { $0 == "*" }
    }
}
