import Testing

@testable import Core
@testable import Kafka
@testable import Worker

@Suite struct ClientHealthTests {
    static let noon = Timestamp(milliseconds: 1_795_608_000_000)
    static let down = KafkaError.named(-187)
    static let transport = KafkaError.named(-195)
    static let authentication = KafkaError.named(-169)

    @Test func `losing the last broker is a reason, with its cause and its time`() {
        var health = ClientHealth()
        health.lost(Self.transport, Self.noon)
        #expect(health.reasons.isEmpty)
        health.lost(Self.down, Self.noon + .seconds(1))
        #expect(health.reasons.count == 1)
        #expect(health.reasons[0].contains("_TRANSPORT"))
        #expect(health.reasons[0].hasSuffix("since 2026-11-25T12:00:01.000Z"))
        health.sawConnection(false, Self.noon + .seconds(60))
        #expect(health.reasons[0].hasSuffix("since 2026-11-25T12:00:01.000Z"))
        health.sawConnection(true, Self.noon + .seconds(61))
        #expect(health.reasons.isEmpty)
    }

    @Test func `a refused password is a reason until a broker is connected`() {
        var health = ClientHealth()
        health.lost(Self.authentication, Self.noon)
        #expect(health.reasons.count == 1)
        health.sawConnection(true, Self.noon)
        #expect(health.reasons.isEmpty)
    }

    @Test func `a missing permission is a reason until the same operation works`() {
        var health = ClientHealth()
        health.failed(.requests, "no READ", Self.noon)
        health.failed(.results, "no WRITE", Self.noon)
        health.sawConnection(true, Self.noon)
        health.worked(.group)
        #expect(health.reasons.count == 2)
        health.worked(.requests)
        #expect(health.reasons == ["no WRITE, since 2026-11-25T12:00:00.000Z"])
        health.worked(.results)
        #expect(health.reasons.isEmpty)
    }

    @Test func `a failed operation is retried at once, then after 1 s, doubling up to a minute`() {
        var backoff = Backoff()
        #expect(backoff.allows(.zero))
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            backoff.tried(.zero)
            #expect(!backoff.allows(Uptime(.seconds(pause) - .milliseconds(1))))
            #expect(backoff.allows(Uptime(.seconds(pause))))
        }
        backoff.worked()
        #expect(backoff.allows(.zero))
    }

    @Test func `the lag counts from the committed offset until a request ends, and is unknown without an end`() {
        var lag = Lag()
        #expect(lag.records(0, committable: nil, end: 7) == nil)
        lag.took([0: Takeover(committed: 40, requests: 10..<100), 1: Takeover(committed: nil, requests: 10..<30)])
        #expect(lag.records(0, committable: nil, end: nil) == 60)
        #expect(lag.records(0, committable: nil, end: 120) == 80)
        #expect(lag.records(0, committable: 120, end: 120) == 0)
        #expect(lag.records(1, committable: nil, end: 30) == 20)
    }
}
