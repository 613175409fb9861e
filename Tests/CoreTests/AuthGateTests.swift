import Testing

@testable import Core

@Suite struct AuthGateTests {
    static let one = AuthGate.Subject(project: ExactText("one"))
    static let two = AuthGate.Subject(project: ExactText("two"))

    @Test func `one call tries a credential, and the others wait for its answer`() {
        var gate = AuthGate()
        #expect(gate.state == .unproven && gate.allows(Self.one, now: .zero))
        gate.sent(1, Self.one)
        #expect(gate.state == .probing && gate.earliest(Self.two, now: .zero) == nil)
        let acceptance = gate.accepted(1, Self.one)
        #expect(acceptance.opens && gate.state == .accepted)
    }

    @Test func `after a refusal another project is tried at once, and the same one after a pause`() {
        var gate = AuthGate()
        gate.sent(1, Self.one)
        let closes = gate.refused(1, Self.one, now: Uptime(.seconds(10)))
        #expect(closes)
        #expect(gate.earliest(Self.two, now: Uptime(.seconds(10))) == Uptime(.seconds(10)))
        #expect(gate.earliest(Self.one, now: Uptime(.seconds(10))) == Uptime(.seconds(30)))
    }

    @Test func `a project is refused alone if another one is accepted`() {
        var gate = AuthGate()
        gate.sent(1, Self.one)
        _ = gate.refused(1, Self.one, now: Uptime(.seconds(10)))
        gate.sent(2, Self.two)
        let acceptance = gate.accepted(2, Self.two)
        #expect(acceptance.refusedAlone == [Self.one])
        #expect(gate.refusedAlone == ["one"] && gate.state == .accepted)
    }

    @Test func `a credential that is refused for two projects closes the gate for all`() {
        var gate = AuthGate()
        gate.sent(1, Self.one)
        _ = gate.refused(1, Self.one, now: Uptime(.seconds(10)))
        gate.sent(2, Self.two)
        _ = gate.refused(2, Self.two, now: Uptime(.seconds(11)))
        let other = AuthGate.Subject(project: ExactText("three"))
        #expect(gate.earliest(other, now: Uptime(.seconds(11))).map { $0 > Uptime(.seconds(11)) } ?? false)
        gate.renewed(now: Uptime(.seconds(12)))
        #expect(
            gate.state == .unproven && gate.allows(other, now: Uptime(.seconds(12))),
            "a changed credential is tried at once")
    }

    @Test func `no order of answers leads to more than three refusals in five minutes`() {
        for seed in 0..<200 as Range<UInt64> {
            var generator = SplitMix64(seed: seed)
            var gate = AuthGate()
            var (now, call) = (Uptime.zero, CallID(0))
            var refusals: [Uptime] = []
            let subjects = (0..<4).map { AuthGate.Subject(project: ExactText("p\($0)"), isRead: $0 == 3) }
            while now < Uptime(.seconds(3000)) {
                let subject = subjects[Int.random(in: 0..<4, using: &generator)]
                if gate.allows(subject, now: now) && gate.room(now: now) > 0 {
                    call += 1
                    gate.sent(call, subject)
                    _ = gate.refused(call, subject, now: now)
                    refusals.append(now)
                }
                now = now + .seconds(Int64.random(in: 1...20, using: &generator))
            }
            #expect(refusals.count >= 3 && QuotaTests.most(refusals, in: .seconds(300)) <= 3, "seed \(seed)")
        }
    }
}
