import Testing

@testable import Core

@Suite struct SteadyClockTests {
    /// What the system's clocks show at this time after the start; `off`: the error of the wall clock.
    static func seen(_ time: Duration, off: Duration = .zero) -> Now {
        Now(uptime: Uptime(.seconds(5000) + time), wall: Timestamp(milliseconds: 1_767_225_600_000) + time + off)
    }

    @Test(arguments: [3600, -3600, 172_800] as [Int64])
    func `a step counts once it has lasted for ten minutes`(_ seconds: Int64) {
        var clock = SteadyClock()
        let off: Duration = .seconds(seconds)
        #expect(clock.now(Self.seen(.zero)) == Self.seen(.zero))
        #expect(clock.now(Self.seen(.seconds(1000), off: off)) == Self.seen(.seconds(1000)))
        #expect(clock.now(Self.seen(.seconds(1599), off: off)) == Self.seen(.seconds(1599)))
        #expect(clock.now(Self.seen(.seconds(1600), off: off)) == Self.seen(.seconds(1600), off: off))
    }

    @Test func `a step that is undone has no effect`() {
        var clock = SteadyClock()
        _ = clock.now(Self.seen(.zero))
        _ = clock.now(Self.seen(.seconds(1000), off: .seconds(3600)))
        #expect(clock.now(Self.seen(.seconds(1500))) == Self.seen(.seconds(1500)))
        let again = clock.now(Self.seen(.seconds(1700), off: .seconds(3600)))
        #expect(again == Self.seen(.seconds(1700)), "the ten minutes begin anew")
        let other = clock.now(Self.seen(.seconds(2400), off: .seconds(7200)))
        #expect(other == Self.seen(.seconds(2400)), "and so they do when it steps on")
    }

    @Test func `a clock that is corrected soon after the start is accepted as soon`() {
        var clock = SteadyClock()
        _ = clock.now(Self.seen(.zero, off: .seconds(-7200)))
        #expect(clock.now(Self.seen(.seconds(20))) == Self.seen(.seconds(20), off: .seconds(-7200)))
        #expect(clock.now(Self.seen(.seconds(40))) == Self.seen(.seconds(40)))
    }

    @Test func `gradual corrections are followed`() {
        var clock = SteadyClock()
        for second in 0..<1000 as Range<Int64> {
            let seen = Self.seen(.seconds(second), off: .milliseconds(second * 100))
            #expect(clock.now(seen) == seen)
        }
    }
}
