import Foundation
import Synchronization
import Testing

@testable import Kafka

@Suite struct DisposalTests {
    /// Behaves like a client whose destroy call waits for a broker thread.
    private final class Slow: Sendable {
        let mayEnd: DispatchSemaphore
        let ended: DispatchSemaphore

        init(_ mayEnd: DispatchSemaphore, _ ended: DispatchSemaphore) {
            self.mayEnd = mayEnd
            self.ended = ended
        }

        deinit {
            mayEnd.wait()
            ended.signal()
        }
    }

    @Test func `disposing of a client does not wait for its end`() {
        let (mayEnd, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        var client: Slow? = Slow(mayEnd, ended)
        Disposal.dispose(of: &client)
        #expect(client === nil)
        #expect(ended.wait(timeout: .now()) == .timedOut)
        mayEnd.signal()
        #expect(ended.wait(timeout: .now() + 10) == .success)
    }
}
