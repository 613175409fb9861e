internal import Core

/// When something that failed is tried again: the first time at once, then after 1 s, and after twice as long each time up to
/// a minute, until it works.
struct Backoff {
    private var pause: Duration = .zero
    private var until: Duration = .zero
    static let longest: Duration = .seconds(60)

    func allows(_ now: Duration) -> Bool { now >= until }

    mutating func tried(_ now: Duration) {
        pause = pause == .zero ? .seconds(1) : min(pause * 2, Self.longest)
        until = now + pause
    }

    mutating func worked() { self = Backoff() }
}
