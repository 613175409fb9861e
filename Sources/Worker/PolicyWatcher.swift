package import Core
internal import HSS

/// Where the policy comes from, so that it can be read again.
package struct PolicySource: Sendable {
    package var path: String
    /// Reads the file's bytes, or explains what is wrong with them.
    package var parse: @Sendable ([UInt8]) -> Result<Policy, PolicyError>

    package init(path: String, parse: @escaping @Sendable ([UInt8]) -> Result<Policy, PolicyError>) {
        (self.path, self.parse) = (path, parse)
    }
}

/// What is wrong with a policy file, with its place.
package struct PolicyError: Error, Equatable, Sendable {
    package var reason: String

    package init(_ reason: String) { self.reason = reason }
}

/// Reads the policy file again when it changes, or on request.
struct PolicyWatcher {
    private let source: PolicySource
    /// The version that was read last.
    private var version: FileVersion?
    /// The version that was there at the last look.
    private var seen: FileVersion?
    private var checkedAt: Uptime = .zero

    /// Nil for what cannot be read again, such as a pipe.
    init?(_ source: PolicySource) {
        guard FileVersion(of: source.path).isRegular else { return nil }
        self.source = source
    }

    /// Looks at the file at most once a second, or at once with `forced`. Nil where nothing is new. A broken file is
    /// reported once for each of its versions.
    ///
    /// A changed file is read when it stays the same for one more look, because it may not be written to its end yet. The
    /// beginning of a file can be a good policy that lacks the last rules.
    mutating func refresh(now: Uptime, forced: Bool) -> Result<Policy, PolicyError>? {
        guard forced || now - checkedAt >= .seconds(1) else { return nil }
        checkedAt = now
        // A change while the file is read shows in the next version.
        let current = FileVersion(of: source.path)
        guard forced || current != version else { return nil }
        if !forced && current != seen {
            seen = current
            return nil
        }
        (version, seen) = (current, current)
        return read()
    }

    private func read() -> Result<Policy, PolicyError> {
        guard let bytes = FileVersion.contents(of: source.path) else {
            return .failure(PolicyError("\(source.path) cannot be read, or is longer than 64 KiB"))
        }
        // Left by a write that failed or is not over. To allow everything on purpose takes a comment.
        guard !bytes.isEmpty else { return .failure(PolicyError("\(source.path) is empty")) }
        return source.parse(bytes)
    }
}
