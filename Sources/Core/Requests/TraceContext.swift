/// The `traceparent` of W3C Trace Context (https://www.w3.org/TR/trace-context/): the trace, and the span that sent the
/// record.
package struct TraceParent: Equatable, Sendable, CustomStringConvertible {
    package var traceID: Fingerprint
    package var spanID: UInt64
    package var flags: UInt8

    /// Bit 0 is sampled, bit 1 (Level 2) is a random trace id. Other bits must not be passed on.
    private static let knownFlags: UInt8 = 0b11

    init(traceID: Fingerprint, spanID: UInt64, flags: UInt8) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
    }

    /// Nil for a text that is not valid. A later version than 00 may append more fields, which are not read.
    package init?(_ text: String) {
        let bytes = Array(text.utf8.prefix(56))
        func number(_ range: Range<Int>) -> UInt64? {
            var value: UInt64 = 0
            for byte in bytes[range] {
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
                case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
                default: return nil
                }
            }
            return value
        }
        guard bytes.count >= 55, [2, 35, 52].allSatisfy({ bytes[$0] == UInt8(ascii: "-") }),
            let version = number(0..<2), let high = number(3..<19), let low = number(19..<35),
            let span = number(36..<52), let flags = number(53..<55)
        else { return nil }
        let isWhole = bytes.count == 55 || version > 0 && bytes[55] == UInt8(ascii: "-")
        guard isWhole, version != 0xFF, high | low != 0, span != 0 else { return nil }
        self.init(traceID: Fingerprint(high: high, low: low), spanID: span, flags: UInt8(flags) & Self.knownFlags)
    }

    /// The worker's own span for a record. The span id is made from the record's identity, so that a result which is
    /// published twice names the same span.
    package func child(for record: Fingerprint) -> TraceParent {
        // A span id of zero is invalid.
        TraceParent(traceID: traceID, spanID: record.low == 0 ? 1 : record.low, flags: flags)
    }

    package var description: String {
        let span = String(spanID, radix: 16)
        return "00-\(traceID)-\(String(repeating: "0", count: 16 - span.utf8.count))\(span)-0\(flags)"
    }
}

/// The trace that a request belongs to.
package struct TraceContext: Equatable, Sendable {
    /// The span that sent the request, and the vendors' `tracestate` beside it.
    package var parent: TraceParent?
    package var state: String?
    /// Where the event began, from the CloudEvents extension "Distributed Tracing". It stays the same on each hop.
    package var creation: TraceParent?
    package var creationState: String?

    package init() {}

    /// The record's own headers come before the attributes of the event, because they name the last hop. A value that
    /// is not valid is dropped, and its `tracestate` with it.
    init(_ record: Record, traceparent: String? = nil, tracestate: String? = nil) {
        creation = traceparent.flatMap(TraceParent.init)
        creationState = creation == nil ? nil : tracestate
        let sender = record.header("traceparent").flatMap(TraceParent.init)
        parent = sender ?? creation
        state = sender == nil ? creationState : record.header("tracestate")
    }

    /// The headers of the result of this record: the worker's span as a child of the sender's, and the event's origin.
    package func headers(for record: Fingerprint) -> [Header] {
        var headers: [Header] = []
        func add(_ name: String, _ value: String?) {
            if let value { headers.append(Header(name, value)) }
        }
        add("traceparent", parent?.child(for: record).description)
        add("tracestate", state)
        add("ce_traceparent", creation?.description)
        add("ce_tracestate", creationState)
        return headers
    }
}
