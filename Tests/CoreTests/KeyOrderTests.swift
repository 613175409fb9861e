import Testing

@testable import Core

@Suite struct KeyOrderTests {
    @Test func `the next open request of a key may be called once the one before it is gone`() {
        var order = KeyOrder()
        let entry = OpenRequestsTests.entry(1)
        let first = [order.enter(1, entry), order.enter(2, entry), order.enter(3, entry)]
        #expect(first == [true, false, false])
        let elsewhere = order.enter(4, OpenRequestsTests.entry(1, partition: 1))
        #expect(elsewhere, "each partition has an order of its own")
        let next = order.leave(1, entry, isOpen: { $0 != 2 })
        #expect(next == 3, "2 has left meanwhile")
        let none = order.leave(3, entry, isOpen: { _ in true })
        let last = order.enter(5, entry)
        #expect(none == nil && last, "nothing is before it any more")
    }

    @Test func `a record without a key waits for no other, and a released partition leaves nothing behind`() {
        var order = KeyOrder()
        var entry = OpenRequestsTests.entry(1)
        var first = [order.enter(1, entry)]
        order.forget(0)
        first.append(order.enter(2, entry))
        entry.recordKey = nil
        first += [order.enter(3, entry), order.enter(4, entry)]
        #expect(first == [true, true, true, true])
    }
}
