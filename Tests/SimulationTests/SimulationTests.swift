import Core
import Simulation
import Testing

/// Pipelines in a world that breaks, in virtual time. `make simulate` runs many more.
@Suite struct SimulationTests {
    @Test(arguments: 0..<20) func `no schedule breaks a rule`(_ part: Int) {
        for seed in UInt64(part * 100)..<UInt64((part + 1) * 100) {
            let violation = Schedule(seed: seed).run().violation
            #expect(violation == nil, "seed \(seed): \(violation ?? "")")
        }
    }

    @Test(arguments: Mutation.allCases) func `each mutation is found`(_ mutation: Mutation) throws {
        let killer = (0..<5_000).lazy.compactMap { seed -> Schedule? in
            let schedule = Schedule(seed: UInt64(seed), mutation: mutation)
            return schedule.run().violation == nil ? nil : schedule
        }.first
        let schedule = try #require(killer, "no seed finds it")
        let shortest = schedule.shortest()
        #expect(shortest.run().violation != nil)
        #expect(shortest.steps.count <= 40)
    }
}
