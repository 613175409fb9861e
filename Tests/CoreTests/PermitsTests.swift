import Testing

@testable import Core

@Suite struct PermitsTests {
    static let subject = AuthGate.Subject(project: ExactText("p"))

    static func now(_ seconds: Int64) -> Now {
        Now(uptime: Uptime(.seconds(seconds)), wall: Timestamp(milliseconds: seconds * 1000))
    }

    static func permits(calls: Int? = nil, concurrency: Int = 2, needsLease: Bool = false) -> Permits {
        var configuration = Pipeline.Configuration(
            quota: calls.map { RateLimit(calls: $0, window: .seconds(60)) })
        configuration.concurrency = concurrency
        configuration.needsLease = needsLease
        var permits = Permits(configuration)
        _ = permits.accepted(1, subject)
        return permits
    }

    static func reply(_ status: Int) -> Reply {
        var reply = Reply()
        reply.httpStatus = status
        return reply
    }

    @Test func `no more calls than the concurrency are in flight, and reads do not count`() {
        var permits = Self.permits()
        permits.acquireCall(1, Self.subject, Self.now(1))
        permits.acquireRead(2, Self.subject, Self.now(1))
        #expect(permits.canCall(Self.now(1)))
        permits.acquireCall(3, Self.subject, Self.now(1))
        #expect(permits.nextCall(Self.now(1)) == nil && !permits.canRead(Self.now(1)))
        _ = permits.release(1, Self.reply(200), Self.now(2))
        #expect(permits.canCall(Self.now(2)) && permits.canRead(Self.now(2)))
    }

    @Test func `dispatch and the deadline agree on when a slot of the quota is free`() {
        var permits = Self.permits(calls: 1)
        permits.acquireCall(1, Self.subject, Self.now(1))
        #expect(permits.nextCall(Self.now(1)) == nil, "an answer has to come first")
        _ = permits.release(1, Self.reply(200), Self.now(3))
        #expect(permits.nextCall(Self.now(4)) == Uptime(.seconds(63)) && !permits.canCall(Self.now(62)))
        #expect(permits.canCall(Self.now(63)))
    }

    @Test func `a call that never arrived frees its slot at once`() {
        var permits = Self.permits(calls: 1)
        permits.acquireCall(1, Self.subject, Self.now(1))
        var reply = Reply()
        reply.transport = .notSent("no connection")
        _ = permits.release(1, reply, Self.now(2))
        #expect(permits.canCall(Self.now(2)))
    }

    @Test func `nothing goes without a lease, and a lease counts only after a takeover`() {
        var permits = Self.permits(calls: 5, needsLease: true)
        permits.lease(until: Uptime(.seconds(100)))
        #expect(!permits.isLeased(Uptime(.seconds(1))))
        permits.takeOver(from: .none, Self.now(1))
        permits.lease(until: Uptime(.seconds(10)))
        #expect(permits.canCall(Self.now(9)) && permits.nextCall(Self.now(10)) == nil)
        permits.endLease(permits.handover(Self.now(10)))
        #expect(permits.handover(Self.now(10)) == nil && !permits.isLeased(Uptime(.seconds(5))))
    }

    @Test(arguments: [(200, true), (400, true), (404, true), (429, false), (500, false), (503, false)])
    func `only an answer after a check of the credential shows that it is valid`(_ status: Int, _ shows: Bool) {
        #expect(Self.reply(status).acceptsCredential == shows)
    }
}
