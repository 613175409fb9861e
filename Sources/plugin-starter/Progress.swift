internal import Core
internal import Worker

/// A progress bar with a rate, on a terminal; nothing elsewhere.
nonisolated struct Progress {
    /// Nil where the end is not known.
    let total: Int?
    private let began = Clock.uptime
    private var shown = -1
    private var shownAt = Uptime.zero

    init(total: Int?) { self.total = total }

    /// Since the beginning.
    var time: Duration { Clock.uptime - began }

    /// How many per second, since the beginning.
    func rate(_ count: Int) -> Int { Int(Double(count) / max(0.001, time.seconds)) }

    mutating func show(_ count: Int) {
        // More than ten times a second is only work for the terminal.
        guard Console.errorIsTerminal, count != shown, Clock.uptime - shownAt >= .milliseconds(100) else { return }
        draw(count)
    }

    private mutating func draw(_ count: Int) {
        (shown, shownAt) = (count, Clock.uptime)
        guard let total else { return Console.error("\r\(count), \(rate(count))/s", terminator: "") }
        let filled = total > 0 ? min(40, count * 40 / total) : 40
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 40 - filled)
        Console.error("\r[\(bar)] \(count)/\(total), \(rate(count))/s", terminator: "")
    }

    /// Removes the bar, so that a line can be printed in its place.
    mutating func clear() {
        guard Console.errorIsTerminal, shown >= 0 else { return }
        Console.error("\r\u{1B}[K", terminator: "")
        (shown, shownAt) = (-1, .zero)
    }

    mutating func finish(_ count: Int) {
        guard Console.errorIsTerminal else { return }
        if count != shown { draw(count) }
        Console.error("")
    }
}

extension Duration {
    /// The seconds, with one digit after the point.
    nonisolated var tenths: String { "\((seconds * 10).rounded() / 10)" }
}
