import Testing

@testable import Core

@Suite struct CircuitBreakerTests {
    @Test func `an outage is reported from its first failure until anything is answered`() {
        var breaker = CircuitBreaker()
        for (index, second) in [10, 20, 30].enumerated() {
            #expect(breaker.state == .closed)
            _ = breaker.failed(CallID(index), sentAt: Uptime(.seconds(second - 1)), now: Uptime(.seconds(second)))
        }
        #expect(breaker.state == .open)
        #expect(breaker.since == Uptime(.seconds(10)))
        breaker.answered()
        #expect(breaker.state == .closed && breaker.since == nil)
    }
}
