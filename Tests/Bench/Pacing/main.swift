import Core
import Planning

/// `make bench-pacing`: arrival patterns in virtual time, with pacing and without, beside a bound that no schedule can
/// beat. Exits 1 where pacing misses what `docs/benchmarks.md` promises.
let seeds: Range<UInt64> = 1..<4

func plan(_ pattern: Pattern, seed: UInt64, pacing: Double) -> (plan: Plan, least: Double) {
    var configuration = Pipeline.Configuration(quota: RateLimit(calls: 5, window: .seconds(60)))
    configuration.pacing = pacing
    let now = Now(uptime: Uptime(.seconds(1000)), wall: Timestamp(milliseconds: 1_767_225_600_000))
    let plan = Plan(pattern.records(seed: seed), configuration, hosts: nil, now: now, atOnce: false)
    return (plan, pacing > 0 ? plan.leastMeanWait(configuration)?.seconds ?? 0 : 0)
}

struct Row {
    var mean = 0.0
    var p99 = 0.0
    var worst = 0.0
    var calls = 0.0
    var hosts = 0.0
    var least = 0.0
    var critical: Double?

    init(_ pattern: Pattern, pacing: Double) {
        let share = 1 / Double(seeds.count)
        for seed in seeds {
            let (plan, least) = plan(pattern, seed: seed, pacing: pacing)
            guard let waits = plan.overall else { continue }
            mean += waits.mean.seconds * share
            p99 += waits.p99.seconds * share
            worst += waits.worst.seconds * share
            calls += Double(plan.calls.count) * share
            hosts += Double(plan.calls.reduce(0) { $0 + $1.call.hostIDs.count }) * share
            self.least += least * share
            if let waits = plan.waits(of: .critical) { critical = (critical ?? 0) + waits.p99.seconds * share }
        }
    }
}

func cell(_ number: Double?, _ width: Int = 8) -> String {
    let text = number.map { "\(($0 * 10).rounded() / 10)" } ?? ""
    return String(repeating: " ", count: max(0, width - text.count)) + text
}

func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

/// The most that the mean wait may be, in seconds, and as a multiple of the bound.
let limits: [String: (mean: Double?, ratio: Double?)] = [
    "1,000 within 1 s": (42, 1.5), "1,000 within 5 s": (41, 1.5), "1,000 within 30 s": (44, 2),
    "700 within 30 s": (nil, 2), "one a second for 10 min": (12, 2), "200 in 5 s every 3 min, singles": (5.3, nil),
    "one every 20 s at random, 4 h": (3.6, nil), "5 scopes, 1,000 within 5 s": (nil, 1.5),
    "5 scopes, 1,000 within 30 s": (nil, 2), "40 scopes, 1,000 within 5 s": (nil, 1.5),
    "40 uneven scopes, 1,000 within 30 s": (nil, 2),
]

print("5 calls in any 60 s, 100 hosts a call, mean of \(seeds.count) seeds; waits in seconds, p0: --pacing 0")
print(
    padded("pattern", 41)
        + "    mean mean p0     p99  p99 p0   worst   calls hosts/c   bound x bound x p0 crit99 crit p0")
var missed: [String] = []
for pattern in Pattern.all
where CommandLine.arguments.count < 2 || pattern.name.contains(CommandLine.arguments[1]) {
    let (paced, unpaced) = (Row(pattern, pacing: 1), Row(pattern, pacing: 0))
    let ratio = paced.least > 0.05 ? paced.mean / paced.least : nil
    print(
        padded(pattern.name, 41) + cell(paced.mean) + cell(unpaced.mean) + cell(paced.p99) + cell(unpaced.p99)
            + cell(paced.worst) + cell(paced.calls) + cell(paced.hosts / paced.calls) + cell(paced.least)
            + cell(ratio) + cell(unpaced.mean > 0.05 ? paced.mean / unpaced.mean : nil, 5) + cell(paced.critical, 7)
            + cell(unpaced.critical, 8))
    let limit = limits[pattern.name]
    if let most = limit?.mean, paced.mean > most { missed.append("\(pattern.name): a mean wait above \(most) s") }
    if let most = limit?.ratio, let ratio, ratio > most { missed.append("\(pattern.name): above \(most) x the bound") }
    if let critical = paced.critical, let before = unpaced.critical, critical > before + 0.2 {
        missed.append("\(pattern.name): critical requests wait longer than without pacing")
    }
}
for miss in missed { print("missed: \(miss)") }
if !missed.isEmpty { fatalError("pacing misses \(missed.count) limits") }
