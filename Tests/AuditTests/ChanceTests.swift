import Testing

@testable import Audit
@testable import Core

/// Random histories from the worker's own core. Each is audited clean, and then altered in one place.
@Suite struct ChanceTests {
    @Test(arguments: 0..<80 as Range<UInt64>) func `a random history is proven`(_ seed: UInt64) {
        let history = Play.history(seed: seed, requests: 80)
        #expect(history.audit() == [], "seed \(seed)")
    }

    /// A way to alter a history. Each has a rule that has to detect it.
    enum Spoiling: CaseIterable, Sendable {
        case drop, double, doubleSoon, answerAgain, stray, misplace, tear, alterKey, alterHosts, alterStatus, alterID
        case outcomeForRepeat, pointNowhere, swapRepeat

        var rule: Rule {
            switch self {
            case .drop: .unanswered
            case .double, .doubleSoon: .repeated
            case .answerAgain: .answeredTwice
            case .stray: .noRequest
            case .misplace: .wrongPartition
            case .tear: .unreadable
            case .alterKey, .alterHosts, .alterStatus, .alterID: .altered
            case .outcomeForRepeat: .twoOutcomes
            case .pointNowhere, .swapRepeat: .wrongOriginal
            }
        }

        /// Alters the result at a place. Returns false if this alteration is not possible there.
        func spoil(_ history: inout History, _ place: Int) -> Bool {
            let value = history.value(place)
            let original = value["original"]
            switch self {
            case .drop: history.results.remove(at: place)
            case .double: history.append(history.results[place])
            case .doubleSoon:
                history.results.insert(history.results[place], at: place)
                for index in history.results.indices { history.results[index].position.offset = Int64(index) }
            case .answerAgain:
                history.append(history.results[place])
                let other = history.status(place) == .failed ? Status.succeeded : .failed
                history.turn(history.results.count - 1, into: other)
            case .stray:
                history.append(history.results[place])
                let last = history.results.count - 1
                history.set(last, ["request", "offset"], .integer(Int64(history.requests.count)))
                history.seal(last)
            case .misplace:
                history.set(place, ["request", "partition"], .integer(1))
                history.seal(place)
            case .tear: history.results[place].value = history.results[place].value?.dropLast()
            case .alterKey:
                history.set(place, ["idempotency_key"], .string("another"))
                history.setHeader(place, "ce_subject", "another")
            case .alterHosts:
                guard let hosts = value["host_id_list"]?.array else { return false }
                history.set(place, ["host_id_list"], .array(hosts + [.string("another")]))
            case .alterStatus:
                history.set(place, ["status"], .string(history.status(place) == .failed ? "succeeded" : "failed"))
            case .alterID: history.setHeader(place, "ce_id", "\(History.topic)/0/\(history.request(place))/gone")
            case .outcomeForRepeat:
                // A retryable failure leaves the key free, and the end of the window frees it.
                guard original?["status"]?.string == "succeeded",
                    let first = history.results.indices.first(where: {
                        history.request($0) == original?["offset"]?.integer
                    }), let from = history.results[first].timestamp, let to = history.results[place].timestamp,
                    to - from <= history.window
                else { return false }
                history.turn(place, into: .succeeded)
            case .pointNowhere:
                guard original != nil else { return false }
                history.set(place, ["original", "offset"], .integer(Int64(history.requests.count)))
            case .swapRepeat:
                guard original?["status"]?.string == "succeeded" else { return false }
                history.turn(place, into: history.status(place) == .duplicate ? .conflict : .duplicate)
            }
            return true
        }
    }

    @Test(arguments: Spoiling.allCases) func `one spoiled result is found`(_ spoiling: Spoiling) {
        var generator = SplitMix64(seed: 42)
        var spoiled = 0
        for seed in 0..<15 as Range<UInt64> {
            let clean = Play.history(seed: seed + 1000, requests: 50)
            for _ in 0..<3 {
                var history = clean
                let place = Int.random(in: 0..<history.results.count, using: &generator)
                guard spoiling.spoil(&history, place) else { continue }
                spoiled += 1
                let found = Set(history.audit().map(\.rule))
                // After more than a window, the audit knows only that there was an answer.
                let isLong = [.double, .doubleSoon].contains(spoiling) && found.contains(.answeredTwice)
                #expect(found.contains(spoiling.rule) || isLong, "seed \(seed) place \(place): \(found)")
            }
        }
        #expect(spoiled >= 3)
    }
}
