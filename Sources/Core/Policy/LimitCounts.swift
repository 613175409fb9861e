/// What the limits of a policy have counted. Windows slide: no span of a window's length holds more than the limit.
///
/// Counting starts at zero with the process. What other workers of the group counted is not known.
struct LimitCounts {
    /// What is counted together: the requests for one project, or those of one producer.
    private struct Key: Hashable {
        var limit: String
        var isHosts: Bool
        /// Nil for all that were too many to be counted apart.
        var subject: ExactText?
    }

    /// What was counted at about the same time.
    private struct Step {
        var began: Uptime
        var latest: Uptime
        var count: Int
    }

    private struct Window {
        var steps = Queue<Step>()
        var total = 0

        mutating func expire(before time: Uptime) {
            while let first = steps.first, first.latest <= time {
                total -= first.count
                steps.popFirst()
            }
        }

        mutating func add(_ amount: Int, _ now: Uptime, _ step: Duration) {
            total += amount
            guard let last = steps.last, now - last.began < step else {
                return steps.append(Step(began: now, latest: now, count: amount))
            }
            steps[steps.count - 1] = Step(began: last.began, latest: now, count: last.count + amount)
        }
    }

    /// More projects and producers than this share one count for each limit, so that forged names take no memory.
    static let maximumSubjects = 10_000
    /// A window is counted in so many steps, which bounds its memory. A step is over when its latest part is.
    private static let stepsPerWindow = 60

    private var windows: [Key: Window] = [:]
    private var sweepAt = Uptime.zero

    var isEmpty: Bool { windows.isEmpty }
    var subjectCount: Int { windows.count }

    /// Counts the request in every window that it belongs to, or in none if one of them has no room for it.
    mutating func admit(_ request: StartRequest, _ policy: Policy, _ now: Now) -> PolicyRefusal? {
        var counted: [(key: Key, amount: Int, step: Duration)] = []
        for limit in policy.limits where limit.counts(request) {
            let (most, window, amount, subject): (Int, Duration, Int, String)
            switch limit.measure {
            case .hostsPerRequest: continue
            case .hosts(let hosts, let length):
                (most, window, amount, subject) = (hosts, length, request.hostIDs.count, request.projectID)
            case .requests(let requests, let length):
                (most, window, amount, subject) = (requests, length, 1, request.producer ?? "")
            }
            let key = key(limit, subject, now.uptime, window)
            windows[key]?.expire(before: now.uptime - window)
            if let refusal = refusal(limit, key, amount, most, window, now) { return refusal }
            counted.append((key, amount, window / Self.stepsPerWindow))
        }
        for (key, amount, step) in counted { windows[key, default: Window()].add(amount, now.uptime, step) }
        return nil
    }

    /// Forgets what limits counted that the policy no longer has.
    mutating func keep(_ policy: Policy) {
        let names = Set(policy.limits.map(\.name))
        windows = windows.filter { names.contains($0.key.limit) }
    }

    private mutating func key(_ limit: Policy.Limit, _ subject: String, _ now: Uptime, _ window: Duration) -> Key {
        var key = Key(limit: limit.name, isHosts: false, subject: ExactText(subject))
        if case .hosts = limit.measure { key.isHosts = true }
        guard windows[key] == nil, windows.count >= Self.maximumSubjects else { return key }
        // Looking through all of them is rare, and what remains is in use.
        if now >= sweepAt {
            sweepAt = now + window / Self.stepsPerWindow
            let longest = Duration.seconds(86_400)
            windows = windows.filter { $0.value.steps.last.map { $0.latest > now - longest } ?? false }
            if windows.count < Self.maximumSubjects { return key }
        }
        key.subject = nil
        return key
    }

    private func refusal(
        _ limit: Policy.Limit, _ key: Key, _ amount: Int, _ most: Int, _ window: Duration, _ now: Now
    ) -> PolicyRefusal? {
        let used = windows[key]?.total ?? 0
        guard used + amount > most else { return nil }
        let (what, field) = key.isHosts ? ("hosts for its project", "host_id_list") : ("requests", "requested_by")
        var text = "exceeds the policy's \(most) \(what) in \(window.seconds.text) s (\(limit.name))"
        if amount > most { return PolicyRefusal(limit.name, field, text + ": never allowed with \(amount)") }
        var left = used
        var free = now.uptime
        for step in windows[key]?.steps.elements ?? [] where left + amount > most {
            left -= step.count
            free = step.latest + window
        }
        text += ": \(used) are used, and there is room at \(now.wall + (free - now.uptime))"
        return PolicyRefusal(limit.name, field, text)
    }
}

extension Double {
    /// `60` and not `60.0`.
    fileprivate var text: String { self == rounded() ? "\(Int(self))" : "\(self)" }
}
