import Testing

@testable import Core

@Suite struct CallOrderTests {
    @Test func `a class goes first, then the project without a call, then the longest wait`() {
        var order = CallOrder()
        let (one, two) = (ExactText("one"), ExactText("two"))
        order.set(1, of: one, .init(rank: 1, arrived: Uptime(.seconds(1)), request: 1))
        order.set(2, of: one, .init(rank: 1, arrived: Uptime(.seconds(2)), request: 2))
        order.set(3, of: two, .init(rank: 1, arrived: Uptime(.seconds(3)), request: 3))
        var turns: [Int?] = []
        func take() {
            turns.append(order.first)
            guard let line = order.first else { return }
            let project = line == 3 ? two : one
            order.called(project)
            order.remove(line, of: project)
        }
        take()
        take()
        order.set(4, of: two, .init(rank: 0, arrived: Uptime(.seconds(9)), request: 4))
        turns.append(order.first)
        order.remove(4, of: two)
        take()
        #expect(turns == [1, 3, 4, 2] && order.isEmpty)
    }
}
