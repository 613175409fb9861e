package import Core

/// A total wait that no schedule of calls can beat, even one that knows when every request arrives.
///
/// It is a Lagrange relaxation. Each window that starts at a multiple of `step` has a price, and a call pays the prices
/// of the windows that hold it. A valid schedule has at most `limit.calls` calls in each window, so together its calls pay
/// at most `limit.calls` times the sum of the prices. So for any prices, the cheapest schedule with prices and *without*
/// the limit, less that sum, waits no longer than any valid schedule. Without the limit every scope stands alone, and the
/// cheapest schedule of one scope is found exactly: requests go in order of arrival, and a call goes when its last
/// request arrives or when a cheaper window begins. The prices are improved by subgradient steps.
package struct LowerBound {
    /// One scope's requests.
    package struct Scope {
        /// Seconds, in ascending order.
        package var arrivals: [Double]
        /// How many requests fit into one call.
        package var capacity: Int

        package init(arrivals: [Double], capacity: Int) {
            self.arrivals = arrivals
            self.capacity = capacity
        }
    }

    private let scopes: [Scope]
    private let limit: Double
    private let step: Double
    private let start: Double
    private let cells: Int
    private static let stepsPerWindow = 24
    /// About how many partial schedules are compared in total.
    private static let effort = 120_000_000
    /// About a week with a window of a minute.
    private static let mostCells = 250_000.0

    private static func work(_ scopes: [Scope]) -> Int {
        scopes.reduce(0) { $0 + $1.arrivals.count * min($1.capacity, $1.arrivals.count) * 4 }
    }

    private init?(_ scopes: [Scope], _ limit: RateLimit) {
        self.scopes = scopes
        self.limit = Double(limit.calls)
        step = limit.window.seconds / Double(Self.stepsPerWindow)
        start = scopes.compactMap(\.arrivals.first).min() ?? 0
        let end = scopes.compactMap(\.arrivals.last).max() ?? 0
        let calls = scopes.reduce(0) { $0 + ($1.arrivals.count + $1.capacity - 1) / $1.capacity }
        let horizon = end - start + Double(calls / limit.calls + 3) * limit.window.seconds
        guard horizon / step < Self.mostCells, Self.work(scopes) <= Self.effort else { return nil }
        cells = Int(horizon / step) + Self.stepsPerWindow
    }

    /// Seconds. `known` is the total wait of some valid schedule. Nil where there is too much to compute.
    package static func totalWait(_ scopes: [Scope], _ limit: RateLimit, known: Double) -> Double? {
        LowerBound(scopes.filter { !$0.arrivals.isEmpty }, limit)?.bound(known)
    }

    private func bound(_ known: Double) -> Double {
        guard !scopes.isEmpty, known > 0 else { return 0 }
        let rounds = max(20, min(250, Self.effort / max(1, Self.work(scopes) + cells)))
        var windows = [Double](repeating: 0, count: cells)
        var (best, bestWindows, stride, idle) = (0.0, windows, 1.0, 0)
        for _ in 0..<rounds {
            let prices = prices(of: windows)
            var calls = [Double](repeating: 0, count: cells + 1)
            var found = -limit * windows.reduce(0, +)
            for scope in scopes { found += cheapest(scope, prices, &calls) }
            if found > best + 1e-9 {
                (best, bestWindows, idle) = (found, windows, 0)
            } else {
                idle += 1
                if idle == 12 { (stride, idle, windows) = (stride * 0.6, 0, bestWindows) }
            }
            guard improve(&windows, calls, by: stride * max(1e-6, known - found)) else { break }
        }
        return best
    }

    /// The price of a call in each cell: the sum of the windows that hold it.
    private func prices(of windows: [Double]) -> [Double] {
        var prices = [Double](repeating: 0, count: cells + 1)
        var sum = 0.0
        for cell in 0..<cells {
            sum += windows[cell]
            if cell >= Self.stepsPerWindow { sum -= windows[cell - Self.stepsPerWindow] }
            prices[cell] = max(0, sum)
        }
        return prices
    }

    /// A subgradient step. False where no window has another number of calls than it should.
    private func improve(_ windows: inout [Double], _ calls: [Double], by gap: Double) -> Bool {
        var slopes = [Double](repeating: 0, count: cells)
        var held = calls.prefix(Self.stepsPerWindow).reduce(0, +)
        var length = 0.0
        for cell in 0..<cells - Self.stepsPerWindow {
            let slope = held - limit
            slopes[cell] = windows[cell] <= 0 && slope < 0 ? 0 : slope
            length += slopes[cell] * slopes[cell]
            held += calls[cell + Self.stepsPerWindow] - calls[cell]
        }
        guard length > 1e-9 else { return false }
        for cell in windows.indices { windows[cell] = max(0, windows[cell] + gap / length * slopes[cell]) }
        return true
    }

    /// The cheapest schedule of one scope, with prices and without a limit. Adds its calls to `calls`.
    private func cheapest(_ scope: Scope, _ prices: [Double], _ calls: inout [Double]) -> Double {
        let arrivals = scope.arrivals
        var sums = [0.0]
        for arrival in arrivals { sums.append(sums[sums.count - 1] + arrival) }
        var costs = [Double](repeating: .infinity, count: arrivals.count + 1)
        var from = [Int](repeating: 0, count: arrivals.count + 1)
        var cell = from
        costs[0] = 0
        for end in 1...arrivals.count {
            let first = max(0, end - scope.capacity)
            for option in options(after: arrivals[end - 1], prices) {
                for begin in first..<end {
                    let cost =
                        costs[begin] + Double(end - begin) * option.time - (sums[end] - sums[begin]) + option.price
                    if cost < costs[end] { (costs[end], from[end], cell[end]) = (cost, begin, option.cell) }
                }
            }
        }
        var end = arrivals.count
        while end > 0 {
            calls[cell[end]] += 1
            end = from[end]
        }
        return costs[arrivals.count]
    }

    /// The times at which a call may go best: at once, and when each cheaper cell begins.
    private func options(after time: Double, _ prices: [Double]) -> [(time: Double, price: Double, cell: Int)] {
        var cell = min(cells, Int((time - start) / step + 1e-9))
        var options = [(time: time, price: prices[cell], cell: cell)]
        while prices[options[options.count - 1].cell] > 0, cell < cells {
            cell += 1
            guard prices[cell] < options[options.count - 1].price - 1e-12 else { continue }
            options.append((max(time, start + Double(cell) * step), prices[cell], cell))
        }
        return options
    }
}

extension Plan {
    /// A mean wait that no schedule can beat for the requests that were called; nil without a quota, or where there is too
    /// much to compute.
    ///
    /// A request counts as one host, which needs no more room than it has. Where requests of a scope share hosts, the
    /// scope's calls count as having room for all.
    package func leastMeanWait(_ configuration: Pipeline.Configuration) -> Duration? {
        guard let limit = configuration.quota, !waits.isEmpty else { return nil }
        struct Key: Hashable { var project: String, enterprise: String?, plugin: String, all: Bool }
        var arrivals: [Key: [Double]] = [:]
        var hosts: [Key: [String]] = [:]
        for (fields, _, arrived, _) in waits {
            let key = Key(
                project: fields.projectID ?? "", enterprise: fields.enterpriseProjectID,
                plugin: fields.pluginCode ?? "", all: fields.operateAll ?? false)
            arrivals[key, default: []].append(arrived.seconds)
            hosts[key, default: []] += fields.hostIDs
        }
        let scopes = arrivals.map { key, times in
            let named = hosts[key] ?? []
            let isShared = key.all || Set(named).count < named.count
            return LowerBound.Scope(
                arrivals: times.sorted(), capacity: isShared ? times.count : configuration.hostsPerCall)
        }.sorted { ($0.arrivals[0], $0.arrivals.count) < ($1.arrivals[0], $1.arrivals.count) }
        let known = waits.reduce(0) { $0 + $1.wait.seconds }
        return LowerBound.totalWait(scopes, limit, known: known).map { .seconds($0 / Double(waits.count)) }
    }
}
