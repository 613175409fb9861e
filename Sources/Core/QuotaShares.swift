/// How the group's members share the slots of a limit without talking: by the partitions that they own.
///
/// The partitions are cut into as many blocks as there are slots, side by side. Who owns a whole block uses its slot as he
/// likes. Where a block is split, the slot goes round among its partitions by the clock: a partition's turn is as long as
/// a window and what a call can be late, and a call is sent in the turn's first second, so that it is a window apart
/// from the next turn's. With fewer slots than partitions no member is left without: each gets a call at the latest
/// after as many turns as its block has partitions. With fewer partitions than slots a partition has several slots, all
/// its own.
///
/// Members' clocks may differ by half a second.
struct QuotaShares: Equatable, Sendable {
    private let count: Int
    private let partitions: Int
    private let turn: Duration
    let transit: Duration
    private var owned: Set<Int32> = []

    /// A call is sent so soon after its turn began, or not in it.
    static let promptness: Duration = .seconds(1)
    /// What two members' clocks may differ by.
    static let clocks: Duration = .seconds(1)

    init(slots: Int, partitions: Int, window: Duration, transit: Duration) {
        count = slots
        self.partitions = partitions
        self.transit = transit
        turn = window + transit + Self.promptness + Self.clocks
    }

    /// The limit is another one, for everybody who hears it.
    mutating func cut(slots: Int, window: Duration) {
        let owned = owned
        self = QuotaShares(slots: slots, partitions: partitions, window: window, transit: transit)
        self.owned = owned
    }

    /// Whether nobody else can make calls.
    var ownsAll: Bool { areAll(owned.count) }
    func areAll(_ number: Int) -> Bool { number >= partitions }

    mutating func claim(_ numbers: some Sequence<Int32>) { owned.formUnion(numbers) }
    mutating func release(_ number: Int32) { owned.remove(number) }

    private func block(_ slot: Int) -> Range<Int> {
        guard slot < count else { return 0..<partitions }
        let start = slot * partitions / count
        return start..<max(start + 1, (slot + 1) * partitions / count)
    }

    func slots(of partition: Int32) -> [Int] { (0..<count).filter { block($0).contains(Int(partition)) } }

    func isWhole(_ slot: Int) -> Bool {
        partitions == 0 || block(slot).allSatisfy { owned.contains(Int32($0)) }
    }

    /// When the slot may be used, not before a time; nil where none of its block is ours. Uptimes.
    func nextTurn(_ slot: Int, from time: Duration, _ now: Now) -> Duration? {
        if isWhole(slot) { return time }
        let block = block(slot)
        let wall = now.wall.milliseconds + (time - now.uptime).milliseconds
        let length = turn.milliseconds
        let current = wall / length
        for number in current...(current + Int64(block.count)) {
            let partition = block.lowerBound + Int(number % Int64(block.count))
            guard owned.contains(Int32(partition)) else { continue }
            let wait = number * length - wall
            if wait > 0 { return time + .milliseconds(wait) }
            if wait > -Self.promptness.milliseconds { return time }
        }
        return nil
    }
}

/// What is known, when a partition is taken over, of the calls that its last owner made.
package enum Claim: Equatable, Sendable {
    /// Nobody had it: nothing was ever committed for it.
    case fresh
    case handedOver(Handover)
    /// Its last owner went without a word. `idleSince`: when its last result was made, where each of its records has one.
    case unknown(idleSince: Timestamp?)
}

/// What an owner leaves to the next one when it gives a partition up in order: until when the slots that the partition has
/// a share in are busy. Written as `1;START;STATUS`, in milliseconds since 1970.
package struct Handover: Equatable, Sendable {
    package var start: Timestamp
    package var status: Timestamp

    package init(start: Timestamp, status: Timestamp) {
        self.start = start
        self.status = status
    }

    package var text: String { "1;\(start.milliseconds);\(status.milliseconds)" }

    /// Nil where the text is none of ours.
    package init?(_ text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "1", text.utf8.count <= 64, let start = Int64(parts[1]),
            let status = Int64(parts[2]), start > 0, status > 0, start < 1 << 53, status < 1 << 53
        else { return nil }
        self.init(start: Timestamp(milliseconds: start), status: Timestamp(milliseconds: status))
    }
}
