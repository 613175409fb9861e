/// The order in which lines of requests get their calls: by class (raised by waiting), then by the project that has gone
/// longest without a call, then by the longest wait. Each change is O(log n).
struct CallOrder {
    /// A line's place among the lines of its project.
    struct Place: Comparable {
        var rank: Int
        var arrived: Uptime
        /// The earlier request wins a tie, so that the same requests always make the same calls.
        var request: RequestID

        static func < (a: Self, b: Self) -> Bool { (a.rank, a.arrived, a.request) < (b.rank, b.arrived, b.request) }
    }

    /// A project's place, by its first line.
    private struct ProjectPlace: Comparable {
        var line: Place
        var served: Int

        static func < (a: Self, b: Self) -> Bool {
            if a.line.rank != b.line.rank { return a.line.rank < b.line.rank }
            return a.served == b.served ? a.line < b.line : a.served < b.served
        }
    }

    private var projects: [ExactText: IndexedHeap<Int, Place>] = [:]
    private var order = IndexedHeap<ExactText, ProjectPlace>()
    /// The turn of each project's last call. A project without a call goes before one that had a call. Turns are
    /// counted, not timed, so that the same requests make the same calls however long answers take.
    private var served: [ExactText: Int] = [:]
    private var turn = 0

    var isEmpty: Bool { order.isEmpty }
    /// The line whose turn it is.
    var first: Int? { order.first.flatMap { projects[$0.id]?.first?.id } }

    mutating func set(_ line: Int, of project: ExactText, _ place: Place) {
        projects[project, default: .init()].set(line, place)
        reorder(project)
    }

    mutating func remove(_ line: Int, of project: ExactText) {
        guard projects[project] != nil else { return }
        projects[project]?.remove(line)
        reorder(project)
    }

    /// Where two lines' projects differ, their turns decide between equal classes.
    func isBefore(_ a: Place, of one: ExactText, _ b: Place, of other: ExactText) -> Bool {
        ProjectPlace(line: a, served: served[one] ?? 0) < ProjectPlace(line: b, served: served[other] ?? 0)
    }

    /// The project gets a call.
    mutating func called(_ project: ExactText) {
        turn += 1
        served[project] = turn
        if served.count > 4096 { served = served.filter { $0.value > turn - 2048 } }
        reorder(project)
    }

    private mutating func reorder(_ project: ExactText) {
        if let first = projects[project]?.first {
            order.set(project, ProjectPlace(line: first.key, served: served[project] ?? 0))
        } else {
            projects[project] = nil
            order.remove(project)
        }
    }
}
