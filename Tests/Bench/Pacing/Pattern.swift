import Core

/// Requests that arrive in a certain way, one host each.
struct Pattern: Sendable {
    struct Request: Sendable {
        /// Seconds after the start.
        var at: Double
        var scope = 0
        var priority = Priority.normal
        var isBad = false
    }

    var name: String
    var make: @Sendable (inout SplitMix64) -> [Request]

    /// The records of one seed, in order of arrival.
    func records(seed: UInt64) -> [Record] {
        var generator = SplitMix64(seed: seed)
        let requests = make(&generator).sorted { $0.at < $1.at }
        return requests.enumerated().map { number, request in
            let host = request.isBad ? "unknown-\(number)" : "host-\(number)"
            let value =
                #"{"idempotency_key":"k\#(number)","project_id":"p\#(request.scope)","plugin_code":"ndr","#
                + #""host_id_list":["\#(host)"],"priority":"\#(request.priority.rawValue)"}"#
            let time = Timestamp(milliseconds: 1_767_225_600_000 + Int64(request.at * 1000))
            return Record(
                position: Position(partition: 0, offset: Int64(number)), timestamp: time, key: nil,
                value: Array(value.utf8))
        }
    }

    static let all: [Pattern] = [
        Pattern(name: "1,000 within 1 s") { burst(1000, 1, &$0) },
        Pattern(name: "1,000 within 5 s") { burst(1000, 5, &$0) },
        Pattern(name: "300 within 2 s") { burst(300, 2, &$0) },
        Pattern(name: "1,000 within 30 s") { burst(1000, 30, &$0) },
        Pattern(name: "700 within 30 s") { burst(700, 30, &$0) },
        Pattern(name: "one a second for 10 min") { _ in (0..<600).map { .init(at: Double($0)) } },
        Pattern(name: "200 in 5 s every 3 min, singles") { generator in
            let bursts = (0..<5).flatMap { burst(200, 5, &generator, from: Double($0) * 180) }
            return bursts + (0..<45).map { .init(at: Double($0) * 20 + 10) }
        },
        Pattern(name: "one every 20 s at random, 4 h") { poisson(0.05, 14_400, &$0) },
        Pattern(name: "one every 20 s exactly, 1 h") { _ in (0..<180).map { .init(at: Double($0) * 20) } },
        Pattern(name: "Poisson 0.2/s, 10 min") { poisson(0.2, 600, &$0) },
        Pattern(name: "Poisson 3/s, 5 min") { poisson(3, 300, &$0) },
        Pattern(name: "Poisson 8/s, 2 min") { poisson(8, 120, &$0) },
        Pattern(name: "5 scopes, 1,000 within 5 s") { spread(burst(1000, 5, &$0), 5, &$0) },
        Pattern(name: "5 scopes, 1,000 within 30 s") { spread(burst(1000, 30, &$0), 5, &$0) },
        Pattern(name: "5 scopes, Poisson 1/s, 5 min") { spread(poisson(1, 300, &$0), 5, &$0) },
        Pattern(name: "40 scopes, 1,000 within 5 s") { spread(burst(1000, 5, &$0), 40, &$0) },
        Pattern(name: "40 uneven scopes, 1,000 within 30 s") { spread(burst(1000, 30, &$0), 40, &$0, isUneven: true) },
        Pattern(name: "1,000 within 5 s, 1 % bad hosts") { generator in
            burst(1000, 5, &generator).enumerated().map { number, request in
                var request = request
                request.isBad = number % 100 == 50
                return request
            }
        },
        Pattern(name: "1,000 bulk in 5 s, 20 critical in 1 min") { criticals(burst(1000, 5, &$0), 60, &$0) },
        Pattern(name: "1,000 bulk in 30 s, 20 critical in 1 min") { criticals(burst(1000, 30, &$0), 60, &$0) },
        Pattern(name: "Poisson 3/s bulk, 20 critical in 5 min") { criticals(poisson(3, 300, &$0), 300, &$0) },
    ]

    private static func burst(
        _ count: Int, _ seconds: Double, _ generator: inout SplitMix64, from start: Double = 0
    ) -> [Request] {
        (0..<count).map { _ in .init(at: start + .random(in: 0..<seconds, using: &generator)) }
    }

    private static func poisson(_ rate: Double, _ seconds: Double, _ generator: inout SplitMix64) -> [Request] {
        burst(Int(rate * seconds), seconds, &generator)
    }

    /// Deals the requests to scopes. Uneven: each scope gets about twice as many as the one four places further.
    private static func spread(
        _ requests: [Request], _ scopes: Int, _ generator: inout SplitMix64, isUneven: Bool = false
    ) -> [Request] {
        requests.map { request in
            var request = request
            let drawn = Double.random(in: 0..<1, using: &generator)
            request.scope = Int(Double(scopes) * (isUneven ? drawn * drawn * drawn : drawn))
            return request
        }
    }

    private static func criticals(
        _ bulk: [Request], _ seconds: Double, _ generator: inout SplitMix64
    ) -> [Request] {
        bulk.map { .init(at: $0.at, priority: .bulk) }
            + burst(20, seconds, &generator).map { .init(at: $0.at, priority: .critical) }
    }
}
