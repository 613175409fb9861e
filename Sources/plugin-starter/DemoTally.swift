internal import Core

/// The results of the demo's requests, beside the expected results.
nonisolated struct Tally {
    let expected: [Status: Int]
    /// The position of each request, and its expected status.
    let positions: [Position: Status]
    private(set) var results: [Position: [Status]] = [:]
    private(set) var strays = 0
    var calls = Calls()

    init(expected: [Status: Int], positions: [Position: Status]) {
        self.expected = expected
        self.positions = positions
    }

    var resultCount: Int { results.count }
    var isComplete: Bool { results.count == positions.count }

    mutating func take(_ record: Record) {
        guard let entry = LedgerEntry(record) else {
            strays += 1
            return
        }
        results[entry.position, default: []].append(entry.status)
    }

    private func got(_ status: Status) -> Int { results.values.filter { $0 == [status] }.count }

    /// Whether each request has exactly one result, with the expected status.
    var addsUp: Bool {
        strays == 0 && positions.allSatisfy { results[$0.key] == [$0.value] } && results.count == positions.count
    }

    func table(took: Duration, quota: RateLimit?) -> String {
        func row(_ cells: [String]) -> String {
            let name = cells[0] + String(repeating: " ", count: max(0, 24 - cells[0].count))
            let numbers = cells.dropFirst().map { String(repeating: " ", count: max(0, 10 - $0.count)) + $0 }
            return name + numbers.joined() + "\n"
        }
        var out = row(["result", "expected", "got"])
        for status in Status.allCases where expected[status] != nil || got(status) > 0 {
            out += row([status.rawValue, "\(expected[status] ?? 0)", "\(got(status))"])
        }
        out += row(["all", "\(positions.count)", "\(results.count)"])
        let twice = results.values.filter { $0.count > 1 }.count
        out += row(["answered twice", "0", "\(twice)"])
        let called = [Status.succeeded, .partiallySucceeded, .failed].reduce(0) { $0 + got($1) }
        let perCall = calls.count > 0 ? Double(calls.hosts) / Double(calls.count) : 0
        out += "\nrequests that needed a call  \(called)\n"
        out += "StartPlugin calls            \(calls.count), \((perCall * 10).rounded() / 10) hosts per call\n"
        out += "calls saved                  \(called - calls.count)\n"
        out += "refused for the quota (429)  \(calls.throttled)\n"
        out += "time                         \((took.seconds * 10).rounded() / 10) s"
        if let quota, calls.count > 0 {
            let one = Double((called + quota.calls - 1) / quota.calls - 1) * quota.window.seconds
            out +=
                "; one call per request would take \(Int(one)) s at \(quota.calls) calls "
                + "in \(Int(quota.window.seconds)) s"
        }
        return out + "\n"
    }
}

/// What the sandbox reports about the calls it received.
nonisolated struct Calls {
    var count = 0
    var hosts = 0
    var throttled = 0

    init() {}

    init(journal: [UInt8]) {
        for line in journal.split(separator: UInt8(ascii: "\n")) {
            guard let entry = try? JSON(parsing: Array(line)), entry["api"]?.string == "start" else { continue }
            count += 1
            hosts += entry["hosts"]?.array?.count ?? 0
            if entry["http_status"]?.integer == 429 { throttled += 1 }
        }
    }
}
