import Testing

@testable import Core

@Suite struct ExpiryQueueTests {
    @Test func `requests come out in order of expiry, and not early`() {
        var queue = ExpiryQueue()
        for (id, second) in [(1, 30), (2, 10), (3, 20)] as [(RequestID, Int64)] {
            queue.schedule(id, at: Uptime(.seconds(second)))
        }
        #expect(queue.first == Uptime(.seconds(10)))
        let due = [9, 25, 25, 25].map { queue.takeDue(Uptime(.seconds($0))) }
        #expect(due == [nil, 2, 3, nil])
        #expect(!queue.isStale(openCount: 0))
        for id in 0..<200 as Range<RequestID> { queue.schedule(id, at: Uptime(.seconds(99))) }
        #expect(queue.isStale(openCount: 10) && !queue.isStale(openCount: 100))
    }
}
