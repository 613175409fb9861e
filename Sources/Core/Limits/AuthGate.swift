/// Decides whether calls may use the credential, in general and for one project.
///
/// The gateway locks the key for five minutes after more than five wrong signatures in a row. So one call at a
/// time proves a credential before others follow, and **at most three refusals in a row fall in any five
/// minutes**. A row of refusals ends when a call is accepted that was sent after the answers of these refusals
/// came. Only then is it certain that the server saw the accepted call between the refusals. Refusals of calls and
/// reads count, for every project.
///
/// One refusal does not show whether the credential, one project or one API is refused. After the first refusal the
/// next probe is for another project, at once if a call for another project waits:
/// - If the probe is accepted, the credential is good, and only the first project is refused. That project gets its own
///   pause, which grows with each refusal. Further refusals of that project close nothing for others.
/// - If the probe is refused too, the credential is bad, and everything waits for a growing pause.
///
/// Reads, and probes of subjects that were refused before, use at most two of the three refusals. The third is reserved
/// for a project that was not refused, so that it need not wait until the refusals of others are old enough. For the
/// same reason the first call of a project goes alone, and no project has more than two calls in flight. A refused read
/// pauses only the reads of its project, because it is no evidence against the credential.
package struct AuthGate: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        /// One call may go, to test whether the credential is accepted.
        case unproven
        /// The test call is in flight.
        case probing
        case accepted
        /// The credential was refused. The next probe goes at this time, or at once for another project.
        case closed(until: Uptime)
    }

    /// The part of the signed URL that the gateway can refuse on its own.
    package struct Subject: Hashable, Sendable {
        var project: ExactText
        var enterpriseProject: ExactText?
        var isRead = false
    }

    /// The conclusions from an accepted call.
    struct Acceptance: Equatable {
        /// The credential was not known to be good before this call.
        var opens = false
        /// Subjects that were refused before the accepted call was sent, so only they are refused.
        var refusedAlone: [Subject] = []
        /// The call's own project was the only one refused, and is accepted again.
        var mends = false
    }

    private struct Refusal: Equatable {
        var at: Uptime
        /// The last call that was sent before this answer came.
        var last: CallID
        /// Nil where IAM gave no token, which stops all projects.
        var subject: Subject?
    }

    private struct Pause: Equatable {
        var failures = 0
        /// The last call that was sent before the last refusal came.
        var last: CallID = 0
        var until: Uptime = .zero
        var isAlone = false
    }

    package private(set) var state: State = .unproven
    /// Counts what may allow a subject that was not allowed, other than an answer for the subject itself.
    private(set) var changes = 0
    private var probe: CallID?
    /// Refusals in a row, oldest first.
    private var streak: [Refusal] = []
    /// Rounds of refusals in a row that closed the gate. Calls that were in flight together count as one round.
    private var rounds = 0
    private var pauses: [Subject: Pause] = [:]
    /// Subjects with an accepted call since their last refusal.
    private var proven: Set<Subject> = []
    private var inFlight: [Subject: Int] = [:]
    /// Calls and reads in flight whose subject is not proven.
    private var suspects: Set<CallID> = []
    private var lastCall: CallID = 0
    /// Calls up to this one used the previous credential.
    private var lastBeforeRenewal: CallID = 0
    /// Whether calls in flight are bounded too. They are not bounded without a quota, because an operator who
    /// switches off the quota wants speed.
    private let boundsFlight: Bool
    private let mutations: Mutations

    /// The maximum number of refusals in a row within `window`.
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

    /// How many calls and reads may be in flight at once. If the credential becomes bad while they are in flight, it is
    /// still refused no more often than allowed.
    package func room(now: Uptime) -> Int { max(1, Self.maximumRefusals - recent(now).count) }

    func allows(_ subject: Subject, now: Uptime) -> Bool { earliest(subject, now: now).map { $0 <= now } ?? false }

    /// When a call or read may go; nil where it must wait for an answer.
    func earliest(_ subject: Subject, now: Uptime) -> Uptime? {
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

    /// Whether the subject must wait for the answers of other subjects that are not proven.
    private func mustWait(_ subject: Subject, _ refusals: Int) -> Bool {
        boundsFlight && !proven.contains(subject) && !suspects.isEmpty
            && refusals + suspects.count >= Self.maximumRefusals - 1
    }

    /// Whether the subject was not refused since the last accepted call, so that a probe of it shows more.
    func isUntried(_ subject: Subject) -> Bool { !streak.contains { $0.subject == subject } }

    /// Where only one project was refused, a probe of another project shows whether the credential is good. A read of
    /// another project serves too, because that project may have nothing else waiting.
    private func mayProbeAtOnce(_ subject: Subject) -> Bool {
        if mutations.has(.probesWithCallsOnly) && subject.isRead { return false }
        return refusedCalls.count == 1 && isUntried(subject)
            && (!subject.isRead || !streak.contains { $0.subject?.project == subject.project })
    }

    /// The subjects whose calls were refused in a row; empty where IAM gave no token.
    private var refusedCalls: Set<Subject?> {
        let calls: [Subject?] = streak.map(\.subject).filter { !($0?.isRead ?? false) }
        return calls.contains(nil) ? [] : Set(calls)
    }

    private func recent(_ now: Uptime) -> [Refusal] { streak.filter { $0.at > now - Self.window } }

    /// When the credential was refused recently. This is handed over to the next caller.
    func recentRefusals(_ now: Uptime) -> [Uptime] { recent(now).map(\.at) }

    /// Adds the refusals of the previous caller.
    mutating func takeOver(_ refusals: [Uptime]) {
        changes += 1
        let known = streak
        streak = refusals.suffix(16).map { Refusal(at: $0, last: lastCall, subject: nil) } + known
    }

    private static func end(of refusal: Refusal) -> Uptime { refusal.at + window + .seconds(1) }

    // MARK: Subjects refused alone

    /// Projects that are refused while others are accepted.
    package var refusedAlone: [String] {
        Set(pauses.filter { $0.value.isAlone }.map(\.key.project.text)).sorted()
    }

    func pausedUntil(_ subject: Subject) -> Uptime? { pauses[subject]?.until }

    /// How many times the subject was refused in a row.
    func failures(_ subject: Subject) -> Int { pauses[subject]?.failures ?? 0 }

    // MARK: What happens

    mutating func sent(_ call: CallID, _ subject: Subject) {
        lastCall = call
        if state != .accepted { (state, probe) = (.probing, call) }
        if !proven.contains(subject) { suspects.insert(call) }
        inFlight[subject, default: 0] += 1
    }

    private mutating func answered(_ call: CallID, _ subject: Subject) {
        if suspects.remove(call) != nil { changes += 1 }
        let count = inFlight[subject] ?? 0
        inFlight[subject] = count > 1 ? count - 1 : nil
    }

    /// HSS gave an answer that does not refuse the credential.
    mutating func accepted(_ call: CallID, _ subject: Subject) -> Acceptance {
        answered(call, subject)
        var acceptance = Acceptance()
        guard call > lastBeforeRenewal else { return acceptance }
        let wasCredential = refusedCalls.count != 1
        let wasProbe = probe == call
        if !streak.isEmpty || !pauses.isEmpty || state != .accepted { changes += 1 }
        streak.removeAll { $0.last < call }
        if let pause = pauses[subject], pause.last < call {
            acceptance.mends = pause.isAlone
            pauses[subject] = nil
        }
        if proven.count >= Self.maximumSubjects { proven = [] }
        if pauses[subject] == nil { proven.insert(subject) }
        for (other, pause) in pauses where !other.isRead && !pause.isAlone && pause.last < call {
            // Where several subjects were refused, the cause was the credential, which is good now.
            pauses[other]?.isAlone = true
            if wasCredential { pauses[other] = nil } else { acceptance.refusedAlone.append(other) }
        }
        guard wasProbe || !streak.contains(where: { !($0.subject?.isRead ?? false) }) else { return acceptance }
        acceptance.opens = state != .accepted
        (state, probe, rounds) = (.accepted, nil, 0)
        return acceptance
    }

    /// The call showed nothing about the credential (for example, there was no connection).
    mutating func inconclusive(_ call: CallID, _ subject: Subject) {
        answered(call, subject)
        if probe == call { (state, probe, changes) = (.unproven, nil, changes + 1) }
    }

    /// The credential was refused, or (`isToken`) no token could be obtained, which stops all projects.
    /// True where this closed the gate.
    mutating func refused(_ call: CallID, _ subject: Subject, isToken: Bool = false, now: Uptime) -> Bool {
        answered(call, subject)
        changes += 1
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

    private mutating func pause(_ subject: Subject, _ call: CallID, now: Uptime) {
        proven.remove(subject)
        if pauses.count >= Self.maximumSubjects { pauses = pauses.filter { $0.value.until > now } }
        guard pauses.count < Self.maximumSubjects || pauses[subject] != nil else { return }
        var pause = pauses[subject] ?? Pause()
        if call > pause.last { pause.failures += 1 }
        pause.last = lastCall
        pause.until = now + min(.seconds(20 << min(pause.failures - 1, 4)), Self.longestPauseOfOne)
        pauses[subject] = pause
    }

    /// The credential changed and is unproven again. One call tests it as soon as the bound on refusals allows.
    package mutating func renewed(now: Uptime) {
        (state, probe, rounds, pauses, proven) = (.unproven, nil, 0, [:], [])
        changes += 1
        lastBeforeRenewal = lastCall
        let recent = recent(now)
        if recent.count >= Self.maximumRefusals {
            state = .closed(until: Self.end(of: recent[recent.count - Self.maximumRefusals]))
        }
    }
}

extension Scope {
    /// The subject that the gateway may refuse, for a call or a read of this scope.
    func subject(isRead: Bool = false) -> AuthGate.Subject {
        AuthGate.Subject(project: project, enterpriseProject: enterpriseProject, isRead: isRead)
    }
}
