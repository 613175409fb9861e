/// Times in which nothing is called, or only critical requests are. Requests wait for the end. All times are UTC.
package struct Maintenance: Equatable, Sendable {
    package enum Times: Equatable, Sendable {
        /// On these days of the week (0 is Sunday), from this time of the day and for this long.
        case weekly(days: Set<Int>, from: Duration, lasting: Duration)
        case once(Range<Timestamp>)
    }

    /// Why calls wait, and until when.
    package struct Hold: Equatable, Sendable {
        package var rule: String
        package var until: Timestamp
    }

    package var name: String
    package var times: Times
    /// Producers are not looked at, because requests of several producers share a call.
    package var selector = Policy.Selector()
    /// Whether critical requests are called all the same.
    package var allowsCritical = false

    package init(_ name: String, _ times: Times) { (self.name, self.times) = (name, times) }

    /// When the time that this moment belongs to ends; nil outside of all times.
    package func end(at now: Timestamp) -> Timestamp? {
        switch times {
        case .once(let range): return range.contains(now) ? range.upperBound : nil
        case .weekly(let days, let from, let lasting):
            let day: Int64 = 86_400_000
            let today = (now.milliseconds - (now.milliseconds % day + day) % day) / day
            // A time that began yesterday may last until today.
            for start in [today, today - 1] {
                // 1970-01-01 was a Thursday.
                let weekday = Int(((start + 4) % 7 + 7) % 7)
                let begin = Timestamp(milliseconds: start * day) + from
                if days.contains(weekday), begin <= now, now < begin + lasting { return begin + lasting }
            }
            return nil
        }
    }
}

extension Policy {
    /// The maintenance that applies now, to some requests at least.
    package func activeMaintenance(at now: Timestamp) -> [(maintenance: Maintenance, until: Timestamp)] {
        maintenance.compactMap { entry in entry.end(at: now).map { (entry, $0) } }
    }

    /// The maintenance for which the request waits, the one that ends last; nil where it does not wait.
    func hold(on request: StartRequest, at now: Timestamp) -> Maintenance.Hold? {
        activeMaintenance(at: now)
            .filter { active, _ in
                active.selector.matches(
                    request.projectID, request.enterpriseProjectID, request.pluginCode, restricts: true)
                    && !(active.allowsCritical && request.priority == .critical)
            }
            .map { Maintenance.Hold(rule: $0.name, until: $1) }
            .max { $0.until < $1.until }
    }
}

/// When a scope may be called: all of its requests, or at least the critical ones. Nil where an answer must come first.
struct Opening: Equatable {
    var all: Uptime?
    var critical: Uptime?

    init(_ time: Uptime?) { (all, critical) = (time, time) }

    /// The opening of a line, by whether critical requests wait in it.
    func time(hasCritical: Bool) -> Uptime? { hasCritical ? critical : all }

    /// The same opening while this maintenance applies to the scope.
    func held(by active: [(maintenance: Maintenance, until: Timestamp)], _ scope: Scope, _ now: Now) -> Opening {
        var opening = self
        for (maintenance, until) in active
        where maintenance.selector.matches(
            scope.project.text, scope.enterpriseProject?.text, scope.plugin.text, restricts: true)
        {
            let end = now.uptime + (until - now.wall)
            opening.all = opening.all.map { max($0, end) }
            if !maintenance.allowsCritical { opening.critical = opening.critical.map { max($0, end) } }
        }
        return opening
    }
}
