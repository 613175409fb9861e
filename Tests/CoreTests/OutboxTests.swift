import Testing

@testable import Core

@Suite struct OutboxTests {
    @Test func `results are stuck once the oldest has waited for five seconds`() {
        var outbox = Outbox()
        #expect(outbox.stuckAt == nil && outbox.waited(Uptime(.seconds(9))) == .zero)
        outbox.send(1, Uptime(.seconds(10)))
        outbox.send(2, Uptime(.seconds(12)))
        #expect(
            outbox.stuckAt == Uptime(.seconds(15)) && !outbox.isStuck(Uptime(.seconds(14)))
                && outbox.isStuck(Uptime(.seconds(15))))
        outbox.remove(1)
        #expect(outbox.waited(Uptime(.seconds(15))) == .seconds(3))
    }

    @Test func `an acknowledgement out of order leaves the oldest waiting`() {
        var outbox = Outbox()
        for id in 1...3 as ClosedRange<RequestID> { outbox.send(id, Uptime(.seconds(Int64(id)))) }
        outbox.remove(2)
        outbox.remove(3)
        #expect(outbox.waited(Uptime(.seconds(11))) == .seconds(10))
        outbox.remove(1)
        #expect(outbox.stuckAt == nil)
    }

    @Test func `a refused result is due after a second, unless its request has left`() {
        var outbox = Outbox()
        for id in 1...2 as ClosedRange<RequestID> {
            outbox.send(id, .zero)
            outbox.retry(id, Uptime(.seconds(5)))
        }
        let tooSoon = outbox.takeDue(Uptime(.milliseconds(5999)))
        #expect(outbox.nextRetry == Uptime(.seconds(6)) && tooSoon.isEmpty)
        outbox.remove(1)
        let due = outbox.takeDue(Uptime(.seconds(6)))
        #expect(due == [2] && !outbox.hasRefused)
    }
}
