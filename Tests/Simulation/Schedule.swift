package import Core

/// One thing that happens. Its numbers are reduced to the range that exists when it happens, so that a schedule stays
/// valid when steps are left out.
package struct Step: Equatable, Sendable, CustomStringConvertible {
    package enum Kind: String, CaseIterable, Sendable {
        case request, fetch, append, acknowledge, refuse, commit, time, longTime, crash, start, stop, freeze, thaw,
            fault, cut, mend, addPartition, recreate, truncate, delete, clock
    }

    package var kind: Kind
    package var a: UInt32
    package var b: UInt32

    package var description: String { "\(kind.rawValue)(\(a % 1000), \(b % 1000))" }

    private static let weights: [(Kind, Int)] = [
        (.request, 24), (.fetch, 18), (.append, 10), (.acknowledge, 10), (.refuse, 2), (.commit, 8), (.time, 14),
        (.longTime, 6), (.crash, 3), (.start, 4), (.stop, 3), (.freeze, 2), (.thaw, 2), (.fault, 5),
        (.cut, 2), (.mend, 3), (.addPartition, 1), (.recreate, 3), (.truncate, 3), (.delete, 3), (.clock, 1),
    ]

    static func random(using generator: inout SplitMix64) -> Step {
        var pick = Int.random(in: 0..<weights.reduce(0) { $0 + $1.1 }, using: &generator)
        var kind = Kind.time
        for (candidate, weight) in weights {
            kind = candidate
            if pick < weight { break }
            pick -= weight
        }
        return Step(
            kind: kind, a: UInt32.random(in: 0...(.max), using: &generator),
            b: UInt32.random(in: 0...(.max), using: &generator))
    }
}

/// A world and its steps, drawn from a seed.
package struct Schedule: Sendable {
    package let seed: UInt64
    package var settings: World.Settings
    package var steps: [Step]

    /// `members`: the number of members at the start; drawn from the seed if nil.
    package init(seed: UInt64, members: ClosedRange<Int>? = nil) {
        self.seed = seed
        var generator = SplitMix64(seed: seed)
        settings = World.Settings(using: &generator, members: members)
        let count = Int.random(in: 50...90, using: &generator)
        steps = (0..<count).map { _ in Step.random(using: &generator) }
    }

    #if MUTATIONS
        package init(seed: UInt64, mutation: Mutation) {
            self.init(seed: seed)
            settings.mutations.active = mutation
        }
    #endif

    /// Runs the schedule to its end, and then on until everything is answered.
    package func run(isTraced: Bool = false) -> World {
        let world = World(settings, isTraced: isTraced)
        for (index, step) in steps.enumerated() where world.violation == nil {
            world.place = "step \(index), \(step)"
            world.take(step)
        }
        world.place = "the end"
        if world.violation == nil { world.heal() }
        return world
    }

    /// The shortest schedule found that still breaks a rule. Steps are left out, many at a time and then one at a time.
    package func shortest() -> Schedule {
        var best = self
        var size = max(1, steps.count / 2)
        while true {
            var start = 0
            var isShorter = false
            while start < best.steps.count {
                var shorter = best
                shorter.steps.removeSubrange(start..<min(start + size, shorter.steps.count))
                if shorter.run().violation != nil {
                    best = shorter
                    isShorter = true
                } else {
                    start += size
                }
            }
            if size == 1 && !isShorter { return best }
            size = max(1, size / 2)
        }
    }
}
