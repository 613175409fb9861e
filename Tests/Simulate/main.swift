internal import Core
internal import Glibc
internal import Simulation

/// `simulate FIRST COUNT`: runs so many schedules from that seed on; each has to keep every rule. `simulate mutants LIMIT`:
/// each mutation has to break one within so many seeds.
nonisolated func runSchedules(_ first: UInt64, _ count: UInt64) -> Bool {
    var steps = 0
    var met: [String: Int] = [:]
    for seed in first..<(first + count) {
        let schedule = Schedule(seed: seed)
        steps += schedule.steps.count
        let world = schedule.run()
        met.merge(world.met, uniquingKeysWith: +)
        guard let violation = world.violation else { continue }
        print("seed \(seed): \(violation)")
        let shortest = schedule.shortest()
        print("shortest schedule, of \(shortest.steps.count) steps: \(shortest.steps)")
        let last = shortest.run(isTraced: true)
        for line in last.trace ?? [] { print(line) }
        print("which ends with: \(last.violation ?? "")")
        return false
    }
    print("\(count) schedules from seed \(first), \(steps) steps: no rule broken")
    for (what, count) in met.sorted(by: { $0.key < $1.key }) { print("  \(what): \(count) times") }
    return true
}

nonisolated func killMutants(_ limit: UInt64) -> Bool {
    #if MUTATIONS
        var allKilled = true
        for mutation in Mutation.allCases {
            let killer = (0..<limit).lazy.compactMap { seed -> (UInt64, Schedule)? in
                let schedule = Schedule(seed: seed, mutation: mutation)
                return schedule.run().violation == nil ? nil : (seed, schedule)
            }.first
            guard let (seed, schedule) = killer else {
                print("\(mutation.rawValue): not found in \(limit) seeds")
                allKilled = false
                continue
            }
            let shortest = schedule.shortest()
            print(
                "\(mutation.rawValue): seed \(seed), \(shortest.steps.count) steps: \(shortest.run().violation ?? "")")
        }
        return allKilled
    #else
        print("built without -DMUTATIONS: no mutations to find")
        return false
    #endif
}

let arguments = CommandLine.arguments.dropFirst().map { $0 }
if arguments.count == 2, let first = UInt64(arguments[0]), let count = UInt64(arguments[1]) {
    if !runSchedules(first, count) { exit(1) }
} else if arguments.count == 2, arguments[0] == "mutants", let limit = UInt64(arguments[1]) {
    if !killMutants(limit) { exit(1) }
} else {
    print("usage: simulate FIRST COUNT | simulate mutants LIMIT")
    exit(64)
}
