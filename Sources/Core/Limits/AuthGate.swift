/// Whether calls may be made on the credential, and on it for one project.
///
/// More than five wrong signatures in a row lock the key for five minutes at the gateway. So one call at a time proves a
/// credential before others follow, and **at most three refusals in a row fall in any five minutes**. Refusals are in a row
/// until a call is accepted that was sent after their answers came: only then is it certain that the server saw the
/// accepted call between them. Refusals of calls and reads, of whatever project, all count.
///
/// A refusal alone does not tell whether the credential, one project or one API is refused. After the first one the next
/// probe is of another project, at once where one waits:
/// - It is accepted: the credential is good, and the first project is refused alone. That project has a pause of its own,
///   which grows with each refusal; its further refusals close nothing for others.
/// - It is refused too: the credential is bad, and everything waits out a growing pause.
///
/// Probes of what was refused before, and reads, use two of the three refusals at most. The third is left to a project
/// that nothing is known against, so that it need not wait for others' refusals to grow old. For the same reason the first
/// call of a project goes alone, and no project has more than two calls in flight. A refused read pauses the reads of its
/// project only: it is no evidence against the credential.
package struct AuthGate: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// One call may go, to see whether the credential is accepted.
        case unproven
        /// That call is on its way.
        case probing
        case accepted
        /// Refused; the next probe goes at this time, or at once for another project.
        case closed(until: Duration)
    }

    /// What the gateway can refuse by itself: what the signed URL names.
    package struct Subject: Hashable, Sendable {
        var project: ExactText
        var enterpriseProject: ExactText?
        var isRead = false
    }

    /// What an accepted call shows.
    struct Acceptance: Equatable {
        /// The credential was not known to be good before.
        var opens = false
        /// Refused before the accepted call was sent, so refused alone.
        var refusedAlone: [Subject] = []
        /// The call's own project was refused alone, and is no more.
        var mends = false
    }

    private struct Refusal: Equatable {
        var at: Duration
        /// The last call that was sent before this answer came.
        var last: CallID
        /// Nil where IAM gave no token: that stops all projects.
        var subject: Subject?
    }

    private struct Pause: Equatable {
        var failures = 0
        /// The last call that was sent before the last refusal came.
        var last: CallID = 0
        var until: Duration = .zero
        var isAlone = false
    }

    package private(set) var state: State = .unproven
    private var probe: CallID?
    /// Refusals in a row, oldest first.
    private var streak: [Refusal] = []
    /// Rounds of refusals in a row that closed the gate: calls that were in flight together are one.
    private var rounds = 0
    private var pauses: [Subject: Pause] = [:]
    /// What had a call accepted since it was last refused.
    private var proven: Set<Subject> = []
    private var inFlight: [Subject: Int] = [:]
    /// In flight: what is not proven.
    private var suspects: Set<CallID> = []
    private var lastCall: CallID = 0
    /// Calls up to this one were made on the credential before this one.
    private var lastBeforeRenewal: CallID = 0
    /// Whether calls in flight are bounded too. Without a quota they are not: whoever switches it off wants speed.
    private let boundsFlight: Bool
    private let mutations: Mutations

    /// Not more refusals in a row than this in `window`.
    static let maximumRefusals = 3
    static let window: Duration = .seconds(300)
    private static let longestPause: Duration = .seconds(110)
    private static let longestPauseOfOne: Duration = .seconds(300)
    private static let maximumSubjects = 10_000

    package init(boundsFlight: Bool = true, mutations: Mutations = Mutations()) {
        self.boundsFlight = boundsFlight
        self.mutations = mutations
    }

    // MARK: May a call go?

    /// Calls and reads that may be in flight at once, so that a credential that turns bad meanwhile is refused no more often
    /// than it may be.
    package func room(now: Duration) -> Int { max(1, Self.maximumRefusals - recent(now).count) }

    func allows(_ subject: Subject, now: Duration) -> Bool { earliest(subject, now: now).map { $0 <= now } ?? false }

    /// When a call or read may go; nil where an answer has to come first.
    func earliest(_ subject: Subject, now: Duration) -> Duration? {
        if mutations.has(.probesTheSameProject) { return now }
        if state == .probing { return nil }
        var time = now
        let pause = pauses[subject]
        if let pause { time = max(time, pause.until) }
        if case .closed(let until) = state, !mayProbeAtOnce(subject) { time = max(time, until) }
        let limit = subject.isRead || pause != nil ? Self.maximumRefusals - 1 : Self.maximumRefusals
        let recent = recent(now)
        if recent.count >= limit { time = max(time, Self.end(of: recent[recent.count - limit])) }
        guard let count = inFlight[subject], !proven.contains(subject) || boundsFlight else {
            return mustWait(subject, recent.count) ? nil : time
        }
        return !proven.contains(subject) || count >= Self.maximumRefusals - 1 ? nil : time
    }

    /// Whether the answers of others that are not proven have to come first.
    private func mustWait(_ subject: Subject, _ refusals: Int) -> Bool {
        boundsFlight && !proven.contains(subject) && !suspects.isEmpty
            && refusals + suspects.count >= Self.maximumRefusals - 1
    }

    /// Whether it was not refused since a call was accepted, so that a probe of it tells more.
    func isUntried(_ subject: Subject) -> Bool { !streak.contains { $0.subject == subject } }

    /// Where only one project was refused, another one shows whether the credential is; a read of it too, since nothing else
    /// of it may wait.
    private func mayProbeAtOnce(_ subject: Subject) -> Bool {
        if mutations.has(.probesWithCallsOnly) && subject.isRead { return false }
        return refusedCalls.count == 1 && isUntried(subject)
            && (!subject.isRead || !streak.contains { $0.subject?.project == subject.project })
    }

    /// Whose calls were refused in a row; nil stands for all.
    private var refusedCalls: Set<Subject?> {
        let calls: [Subject?] = streak.map(\.subject).filter { !($0?.isRead ?? false) }
        return calls.contains(nil) ? [] : Set(calls)
    }

    private func recent(_ now: Duration) -> [Refusal] { streak.filter { $0.at > now - Self.window } }

    /// When the credential was refused lately, by uptime: what the next caller has to know.
    func recentRefusals(_ now: Duration) -> [Duration] { recent(now).map(\.at) }

    /// The caller before this one was refused then.
    mutating func takeOver(_ refusals: [Duration]) {
        let known = streak
        streak = refusals.suffix(16).map { Refusal(at: $0, last: lastCall, subject: nil) } + known
    }

    private static func end(of refusal: Refusal) -> Duration { refusal.at + window + .seconds(1) }

    // MARK: Who is refused alone

    /// Projects that are refused while others are accepted.
    package var refusedAlone: [String] {
        Set(pauses.filter { $0.value.isAlone }.map(\.key.project.text)).sorted()
    }

    func pausedUntil(_ subject: Subject) -> Duration? { pauses[subject]?.until }

    /// Refusals of it, none accepted between.
    func failures(_ subject: Subject) -> Int { pauses[subject]?.failures ?? 0 }

    // MARK: What happens

    mutating func sent(_ call: CallID, _ subject: Subject) {
        lastCall = call
        if state != .accepted { (state, probe) = (.probing, call) }
        if !proven.contains(subject) { suspects.insert(call) }
        inFlight[subject, default: 0] += 1
    }

    private mutating func answered(_ call: CallID, _ subject: Subject) {
        suspects.remove(call)
        let count = inFlight[subject] ?? 0
        inFlight[subject] = count > 1 ? count - 1 : nil
    }

    /// HSS answered with anything but a refusal of the credential.
    mutating func accepted(_ call: CallID, _ subject: Subject) -> Acceptance {
        answered(call, subject)
        var acceptance = Acceptance()
        guard call > lastBeforeRenewal else { return acceptance }
        let wasCredential = refusedCalls.count != 1
        let wasProbe = probe == call
        streak.removeAll { $0.last < call }
        if let pause = pauses[subject], pause.last < call {
            acceptance.mends = pause.isAlone
            pauses[subject] = nil
        }
        if proven.count >= Self.maximumSubjects { proven = [] }
        if pauses[subject] == nil { proven.insert(subject) }
        for (other, pause) in pauses where !other.isRead && !pause.isAlone && pause.last < call {
            // Where several were refused, it was the credential: it is good now.
            pauses[other]?.isAlone = true
            if wasCredential { pauses[other] = nil } else { acceptance.refusedAlone.append(other) }
        }
        guard wasProbe || !streak.contains(where: { !($0.subject?.isRead ?? false) }) else { return acceptance }
        acceptance.opens = state != .accepted
        (state, probe, rounds) = (.accepted, nil, 0)
        return acceptance
    }

    /// The call told nothing of the credential (no connection, say).
    mutating func inconclusive(_ call: CallID, _ subject: Subject) {
        answered(call, subject)
        if probe == call { (state, probe) = (.unproven, nil) }
    }

    /// A refusal of the credential, or (`isToken`) no token was had, which stops all projects. True where that closed the
    /// gate.
    mutating func refused(_ call: CallID, _ subject: Subject, isToken: Bool = false, now: Duration) -> Bool {
        answered(call, subject)
        let isSameRound = streak.last.map { call <= $0.last } ?? false
        streak.append(Refusal(at: now, last: lastCall, subject: isToken ? nil : subject))
        if streak.count > 16 { streak.removeFirst() }
        guard call > lastBeforeRenewal else { return false }
        let isAlone = !isToken && pauses[subject]?.isAlone ?? false
        if !isToken { pause(subject, call, now: now) }
        let wasProbe = probe == call
        if wasProbe { (state, probe) = (.unproven, nil) }
        if !isToken && (subject.isRead || (isAlone && state == .accepted)) { return false }
        if !isSameRound || rounds == 0 { rounds += 1 }
        let wasClosed = if case .closed = state { true } else { wasProbe && rounds > 1 }
        var until = now + min(.seconds(20 << min(rounds - 1, 3)), Self.longestPause)
        let recent = recent(now)
        if recent.count >= Self.maximumRefusals {
            until = max(until, Self.end(of: recent[recent.count - Self.maximumRefusals]))
        }
        state = .closed(until: until)
        return !wasClosed
    }

    private mutating func pause(_ subject: Subject, _ call: CallID, now: Duration) {
        proven.remove(subject)
        if pauses.count >= Self.maximumSubjects { pauses = pauses.filter { $0.value.until > now } }
        guard pauses.count < Self.maximumSubjects || pauses[subject] != nil else { return }
        var pause = pauses[subject] ?? Pause()
        if call > pause.last { pause.failures += 1 }
        pause.last = lastCall
        pause.until = now + min(.seconds(20 << min(pause.failures - 1, 4)), Self.longestPauseOfOne)
        pauses[subject] = pause
    }

    /// The credential changed: it is unproven again, so one call tries it, as soon as the bound on refusals allows.
    package mutating func renewed(now: Duration) {
        (state, probe, rounds, pauses, proven) = (.unproven, nil, 0, [:], [])
        lastBeforeRenewal = lastCall
        let recent = recent(now)
        if recent.count >= Self.maximumRefusals {
            state = .closed(until: Self.end(of: recent[recent.count - Self.maximumRefusals]))
        }
    }
}

extension Scope {
    /// What the gateway may refuse: a call of this scope, or a read.
    func subject(isRead: Bool = false) -> AuthGate.Subject {
        AuthGate.Subject(project: project, enterpriseProject: enterpriseProject, isRead: isRead)
    }
}
