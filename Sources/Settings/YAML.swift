internal import CYaml

/// A YAML document of the plain kind that settings need, with the position of each node. Anchors, aliases and tags are
/// not supported.
indirect enum YAML {
    struct Place: Sendable {
        var line: Int
        var column: Int
    }

    case scalar(String, Place)
    case list([YAML], Place)
    case map([(key: String, keyPlace: Place, value: YAML)], Place)

    struct Fault: Error {
        var place: Place
        var rule: String
    }

    var place: Place {
        switch self {
        case .scalar(_, let place), .list(_, let place), .map(_, let place): place
        }
    }

    /// A larger file is not a settings file.
    static let maximumBytes = 64 << 10

    static func parse(_ bytes: [UInt8]) throws(Fault) -> YAML? {
        guard bytes.count <= maximumBytes else {
            throw Fault(place: Place(line: 1, column: 1), rule: "must be at most \(maximumBytes) bytes")
        }
        var parser = unsafe yaml_parser_t()
        guard unsafe yaml_parser_initialize(&parser) == 1 else {
            throw Fault(place: Place(line: 1, column: 1), rule: "cannot be parsed: out of memory")
        }
        defer { unsafe yaml_parser_delete(&parser) }
        let found: Result<YAML?, Fault> = unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            do throws(Fault) { return .success(try unsafe document(&parser)) } catch { return .failure(error) }
        }
        return try found.get()
    }

    private enum Event {
        case scalar(String), listStart, listEnd, mapStart, mapEnd, other
        case documentStart, end
    }

    private static func next(_ parser: UnsafeMutablePointer<yaml_parser_t>) throws(Fault) -> (Event, Place) {
        var event = unsafe yaml_event_t()
        guard unsafe yaml_parser_parse(parser, &event) == 1 else {
            let mark = unsafe parser.pointee.problem_mark
            let text = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "it is malformed"
            throw Fault(
                place: Place(line: Int(mark.line) + 1, column: Int(mark.column) + 1), rule: "is not YAML: \(text)")
        }
        defer { unsafe yaml_event_delete(&event) }
        let mark = unsafe event.start_mark
        let place = Place(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
        switch unsafe event.type {
        case YAML_SCALAR_EVENT:
            if unsafe event.data.scalar.anchor != nil { throw Fault(place: place, rule: "must not use anchors") }
            let value = unsafe UnsafeBufferPointer(start: event.data.scalar.value, count: event.data.scalar.length)
            return (.scalar(String(decoding: unsafe Array(value), as: UTF8.self)), place)
        case YAML_SEQUENCE_START_EVENT: return (.listStart, place)
        case YAML_SEQUENCE_END_EVENT: return (.listEnd, place)
        case YAML_MAPPING_START_EVENT: return (.mapStart, place)
        case YAML_MAPPING_END_EVENT: return (.mapEnd, place)
        case YAML_ALIAS_EVENT: throw Fault(place: place, rule: "must not use aliases")
        case YAML_STREAM_END_EVENT: return (.end, place)
        case YAML_DOCUMENT_START_EVENT: return (.documentStart, place)
        default: return (.other, place)
        }
    }

    private static func document(_ parser: UnsafeMutablePointer<yaml_parser_t>) throws(Fault) -> YAML? {
        var root: YAML?
        while true {
            let (event, place) = try unsafe next(parser)
            switch event {
            case .end: return root
            case .documentStart:
                if root != nil { throw Fault(place: place, rule: "must contain only one document") }
            case .other: break
            default: root = try unsafe node(event, place, parser, depth: 0)
            }
        }
    }

    private static func node(
        _ event: Event, _ place: Place, _ parser: UnsafeMutablePointer<yaml_parser_t>, depth: Int
    ) throws(Fault) -> YAML {
        guard depth < 8 else { throw Fault(place: place, rule: "is nested too deeply") }
        switch event {
        case .scalar(let text): return .scalar(text, place)
        case .listStart:
            var elements: [YAML] = []
            while true {
                let (event, at) = try unsafe next(parser)
                if case .listEnd = event { return .list(elements, place) }
                elements.append(try unsafe node(event, at, parser, depth: depth + 1))
            }
        case .mapStart:
            var members: [(key: String, keyPlace: Place, value: YAML)] = []
            while true {
                let (event, at) = try unsafe next(parser)
                if case .mapEnd = event { return .map(members, place) }
                guard case .scalar(let key) = event else { throw Fault(place: at, rule: "must have a plain key") }
                if members.contains(where: { $0.key == key }) {
                    throw Fault(place: at, rule: "contains the key \(key) twice")
                }
                let (value, valueAt) = try unsafe next(parser)
                members.append((key, at, try unsafe node(value, valueAt, parser, depth: depth + 1)))
            }
        default: throw Fault(place: place, rule: "is not a YAML settings file")
        }
    }
}
