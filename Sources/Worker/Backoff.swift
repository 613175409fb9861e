internal import Core

/// When a failed operation is retried. The first retry comes at once, the second after 1 s. The pause then doubles with
/// each retry, up to a minute, until the operation works.
struct Backoff {
    private var pause: Duration = .zero
    private var until: Uptime = .zero
    static let longest: Duration = .seconds(60)

    func allows(_ now: Uptime) -> Bool { now >= until }

    mutating func tried(_ now: Uptime) {
        pause = pause == .zero ? .seconds(1) : min(pause * 2, Self.longest)
        until = now + pause
    }

    mutating func worked() { self = Backoff() }
}
