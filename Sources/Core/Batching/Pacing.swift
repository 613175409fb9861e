/// Decides how long a call waits for company while a slot of the quota is free. Calls are scarce: a storm whose first
/// requests took a call each would wait for the rest of the window with nearly all its hosts.
///
/// A batch that is full, or has a critical request, goes at once. Any other waits for
/// - company: the more slots are in use, the longer its oldest request waits, so that the last slots are kept;
/// - spread: calls are as far apart as slots become free, as far as there is enough to carry.
/// It goes sooner where the burst is over (nothing came for ten of its gaps), where a request is about to expire, and
/// after half a window. `docs/design.md` ("Pacing") gives the figures behind each constant.
struct Pacing {
    /// How the quota is used now.
    struct Load: Equatable {
        /// Slots that are not free.
        var used: Int
        var limit: RateLimit
    }

    /// What waits in one line.
    struct Company {
        /// How many requests wait for each host.
        var hosts: [ExactText: Int] = [:]
        var criticals = 0
        /// When requests must have been called.
        var latest = IndexedHeap<RequestID, Uptime>()
        /// When the line began to fill, and when something came last.
        private var first: Uptime = .zero
        private var newest: Uptime = .zero
        /// Arrivals that are close together count as one pulse, because records are fetched together.
        private var pulses = 0
        private var lastPulse: Uptime = .zero

        /// A request came. Arrivals within a 3,000th of the window are one pulse.
        mutating func arrived(at time: Uptime, isFirst: Bool, window: Duration) {
            let isPulse = time >= lastPulse + window / 3000
            returned(at: time, isFirst: isFirst)
            if isPulse && !isFirst { (lastPulse, pulses) = (time, pulses + 1) }
        }

        /// A request came back from a call. It is no pulse of its own.
        mutating func returned(at time: Uptime, isFirst: Bool) {
            if isFirst { (first, newest, lastPulse, pulses) = (time, time, time, 1) }
            newest = max(newest, time)
        }

        /// When a burst counts as over; nil where there was none.
        var quietAt: Uptime? {
            guard hosts.count >= 10, pulses >= 3 else { return nil }
            return newest + (lastPulse - first) * 10 / (pulses - 1)
        }
    }

    /// The setting: 0 holds no call back, 1 is the tuned rule, more holds longer.
    let factor: Double
    private var recent = Queue<(at: Uptime, scope: Scope, hosts: Int)>()
    private var recentHosts = 0
    private var recentScopes: [Scope: Int] = [:]
    private var lastCall: Uptime = .zero

    init(factor: Double) { self.factor = factor }

    /// A call goes.
    mutating func sent(_ scope: Scope, hosts: Int, _ now: Uptime, window: Duration) {
        lastCall = now
        recent.append((now, scope, hosts))
        recentHosts += hosts
        recentScopes[scope, default: 0] += 1
        while let first = recent.first, first.at + window <= now {
            recent.popFirst()
            recentHosts -= first.hosts
            recentScopes[first.scope, default: 0] -= 1
            if recentScopes[first.scope] == 0 { recentScopes[first.scope] = nil }
        }
    }

    /// How long calls are held at this load, for all lines alike.
    struct Hold: Equatable {
        /// From the arrival of the line's oldest request.
        var company: Duration
        /// No call that waits for company goes before this time.
        var spread: Uptime
        /// From the arrival of the line's oldest request, whatever else holds.
        var longest: Duration

        /// When a line is due whose oldest request came at `oldest`. `early`: when it is due in any case.
        func due(_ oldest: Uptime, early: Uptime?) -> Uptime {
            let due = min(max(oldest + company, spread), oldest + longest)
            return early.map { min(due, $0) } ?? due
        }
    }

    /// `hosts` wait in `lines` lines. Nil holds nothing back.
    func hold(_ load: Load?, hosts: Int, lines: Int) -> Hold? {
        guard factor > 0, let load else { return nil }
        let (window, most) = (load.limit.window, Double(load.limit.calls))
        let share = min(factor, 1)
        let grace = min(.milliseconds(100) * share, window / 600)
        guard load.used > 0 else { return Hold(company: grace, spread: .zero, longest: window) }
        // A line gets company of its own scope only.
        let scopes = Double(max(1, max(lines, recentScopes.count)))
        let used = Double(load.used) / most
        let carried = Double(recentHosts + hosts) / (2 * most * scopes)
        return Hold(
            company: max(grace, window * (factor * 0.3 * used * used * used / scopes)),
            spread: lastCall + window * (share * min(1, carried) / most), longest: window * (share / 2))
    }
}
