import Testing

@testable import Core

@Suite struct OutageTests {
    @Test func `an outage is told with the time of its first failure, until anything is answered`() {
        var outage = Outage()
        for (index, second) in [10, 20, 30].enumerated() {
            #expect(!outage.isOn)
            _ = outage.failed(CallID(index), sentAt: .seconds(second - 1), now: .seconds(second))
        }
        #expect(outage.isOn)
        #expect(outage.since == .seconds(10))
        outage.answered()
        #expect(!outage.isOn && outage.since == nil)
    }
}
