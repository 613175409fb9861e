internal import Core
internal import Glibc

/// What the ledger costs: memory a key, restoring, and a request's share at different sizes (`make bench-ledger`). Alone
/// in its process, so that what the process grows by is the ledger's.
let start = Timestamp(milliseconds: 1_767_225_600_000)

func fingerprint(_ number: UInt64) -> Fingerprint {
    var generator = SplitMix64(seed: number)
    return Fingerprint(high: generator.next(), low: generator.next())
}

/// The header of a result as the worker writes it: of twenty, one failed and one is a duplicate; a hundred share a call.
func record(_ number: Int) -> Record {
    let (status, code, rest) =
        switch number % 20 {
        case 0: ("failed", "HSS.1001", "0;400")
        case 1: ("duplicate", "", "0;")
        default: ("succeeded", "", "0;")
        }
    let text =
        "2;plugin.start.requests;\(fingerprint(UInt64(number) + 1 << 41));0/\(number);\(status);\(fingerprint(UInt64(number)));\(fingerprint(UInt64(number) + 1 << 40));\(code);"
        + "\(rest);2n9c1w8hq-\(number / 100);\(start.milliseconds + Int64(number))"
    return Record(
        position: Position(partition: 0, offset: Int64(number)), timestamp: nil, key: nil, value: nil,
        headers: [Header(LedgerEntry.header, text)])
}

func residentMiB() -> Double {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard unsafe fgets(&line, 128, file) != nil else { return 0 }
    let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
        separator: " ")
    return (fields.count > 1 ? Double(fields[1]) ?? 0 : 0) * 4096 / 1_048_576
}

/// Of the processor, so that a busy machine changes little.
func seconds(_ body: () -> Void) -> Double {
    func spent() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
    let before = spent()
    body()
    return spent() - before
}

func text(_ value: Double, _ width: Int, decimals: Bool = false) -> String {
    let number = decimals ? "\((value * 100).rounded() / 100)" : "\(Int(value.rounded()))"
    return String(repeating: " ", count: max(0, width - number.utf8.count)) + number
}

/// Restores a million results a batch at a time; only the ledger is left of them.
func restore() -> (ledger: Ledger, perSecond: Double, mebibytes: Double) {
    let before = residentMiB()
    // All but the last are committed.
    var ledger = Ledger(topic: "plugin.start.requests", records: 990_000..<2_000_000)
    var time = 0.0
    var (batch, results) = (0, 0)
    while ledger.count < 1_000_000 {
        let records = (0..<10_000).map { record(batch * 10_000 + $0) }
        time += seconds {
            for record in records {
                if let entry = LedgerEntry(record) { ledger.restore(entry) }
            }
        }
        batch += 1
        results += records.count
    }
    return (ledger, Double(results) / time, residentMiB() - before)
}

/// Nanoseconds for a request that is a first time: looked up, remembered, and one as old as the window forgotten; and
/// the slowest thousand of them. The window holds so many keys throughout.
func request(keys: Int) -> (nanoseconds: Double, slowestMicroseconds: Double) {
    var ledger = Ledger()
    var next = 0
    func step() {
        next += 1
        // One key a second, so that a window of so many seconds holds so many keys.
        let now = start + .seconds(next)
        let key = fingerprint(UInt64(next))
        guard ledger.outcome(for: key, now: now, window: .seconds(keys)) == nil else { return }
        ledger.remember(
            .init(status: .succeeded, offset: Int64(next), fingerprint: key, completedAt: now, failure: nil), for: key)
        ledger.expire(before: now + .seconds(-keys))
    }
    for _ in 0..<(keys * 2) { step() }
    var (total, slowest) = (0.0, 0.0)
    let rounds = max(1000, keys * 3 / 1000)
    for _ in 0..<rounds {
        let time = seconds { for _ in 0..<1000 { step() } }
        total += time
        slowest = max(slowest, time)
    }
    return (total / Double(rounds) * 1e6, slowest * 1e6)
}

let restored = restore()
print("restored          keys  MiB a million keys   results/s of one core")
print(
    "         \(text(Double(restored.ledger.count), 13))\(text(restored.mebibytes * 1e6 / Double(restored.ledger.count), 20))"
        + text(restored.perSecond, 24))
print("a new request     keys                  ns               ratio  slowest thousand, us")
var smallest: Double?
for keys in [10_000, 100_000, 1_000_000] {
    let cost = request(keys: keys)
    smallest = smallest ?? cost.nanoseconds
    print(
        "         \(text(Double(keys), 13))\(text(cost.nanoseconds, 20))"
            + "\(text(cost.nanoseconds / (smallest ?? 1), 20, decimals: true))\(text(cost.slowestMicroseconds, 22))")
}
