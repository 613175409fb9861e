import Testing

@testable import Core

@Suite struct TraceContextTests {
    static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    static let sender = "00-\(trace)-00f067aa0ba902b7-01"
    static let origin = "00-0af7651916cd43dd8448eb211c80319c-b9c7c989f97918e1-01"

    @Test(arguments: [
        sender, "00-\(trace)-00f067aa0ba902b7-00", "00-\(trace)-00f067aa0ba902b7-03",
        "00-00000000000000000000000000000001-0000000000000001-00",
    ]) func `a valid traceparent is read and written again`(_ text: String) throws {
        #expect(try #require(TraceParent(text)).description == text)
    }

    @Test(arguments: [
        "", "00", "00-1", "00-\(trace)-00f067aa0ba902b7", "00-\(trace)-00f067aa0ba902b7-0",
        "00-\(trace)-00f067aa0ba902b7-01-", "00-\(trace)-00f067aa0ba902b7-011", "ff-\(trace)-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-\(trace)-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-\(trace)_00f067aa0ba902b7-01",
        "0g-\(trace)-00f067aa0ba902b7-01", " 00-\(trace)-00f067aa0ba902b7-01", "00-\(trace)-00f067aa0ba902b7-é",
        "01-\(trace)-00f067aa0ba902b7-01.",
    ]) func `a traceparent that is not valid is dropped`(_ text: String) { #expect(TraceParent(text) == nil) }

    @Test func `a later version is passed on as version 00, without flags that 00 does not know`() {
        for rest in ["", "-more", "-"] {
            let read = TraceParent("cc-\(Self.trace)-00f067aa0ba902b7-fd\(rest)")
            #expect(read?.description == "00-\(Self.trace)-00f067aa0ba902b7-01")
        }
    }

    /// The trace headers of the result of a request with these headers.
    static func answer(_ headers: [Header], _ body: String = RequestDecoderTests.good, offset: Int64 = 0) -> [String:
        String]
    {
        var harness = PipelineHarness()
        harness.receive(body, headers: headers, skipping: offset)
        harness.answer(200)
        let record = ResultWriter(requestsTopic: "r").record(harness.results[0])
        let found = record.headers.filter { $0.name.hasSuffix("traceparent") || $0.name.hasSuffix("tracestate") }
        return Dictionary(
            uniqueKeysWithValues: found.map { ($0.name, String(decoding: $0.value ?? [], as: UTF8.self)) })
    }

    @Test func `a result is a span of the worker, a child of the sender's`() throws {
        let found = Self.answer([Header("traceparent", Self.sender), Header("tracestate", "a=1,b=2")])
        let child = try #require(found["traceparent"].flatMap(TraceParent.init))
        #expect(child.traceID == TraceParent(Self.sender)?.traceID && child.flags == 1)
        #expect(child.spanID != TraceParent(Self.sender)?.spanID)
        #expect(found["tracestate"] == "a=1,b=2")
        #expect(found["ce_traceparent"] == nil && found["ce_tracestate"] == nil)
    }

    @Test func `the same record has the same span, and another record another`() {
        let headers = [Header("traceparent", Self.sender)]
        let one = Self.answer(headers)["traceparent"]
        #expect(one != nil && Self.answer(headers)["traceparent"] == one)
        #expect(Self.answer(headers, offset: 1)["traceparent"] != one)
    }

    @Test func `the headers name the parent, and the event's attributes the creation context`() {
        let attributes = [Header("ce_traceparent", Self.origin), Header("ce_tracestate", "o=1")]
        let hop = [Header("traceparent", Self.sender), Header("tracestate", "s=1")]
        let event = EnvelopeTests.event(#","traceparent":"\#(Self.origin)","tracestate":"o=1""#)
        let structured = [Header("content-type", "application/cloudevents+json")]
        for (headers, body) in [(EnvelopeTests.binary + attributes, EnvelopeTests.body), (structured, event)] {
            let both = Self.answer(headers + hop, body)
            #expect(both["traceparent"]?.contains(Self.trace) ?? false)
            #expect(both["tracestate"] == "s=1")
            #expect(both["ce_traceparent"] == Self.origin && both["ce_tracestate"] == "o=1")
            let alone = Self.answer(headers, body)
            #expect(alone["traceparent"]?.hasPrefix(Self.origin.prefix(35)) ?? false)
            #expect(alone["traceparent"] != Self.origin && alone["tracestate"] == "o=1")
            #expect(alone["ce_traceparent"] == Self.origin)
        }
    }

    @Test func `without a valid traceparent the result has no trace`() {
        #expect(Self.answer([]) == [:])
        #expect(Self.answer([Header("traceparent", "00-1"), Header("tracestate", "a=1")]) == [:])
        #expect(Self.answer([Header("ce_traceparent", Self.origin)]) == [:], "it is no event")
    }

    @Test func `a rejected request keeps its trace`() {
        let found = Self.answer([Header("traceparent", Self.sender)], #"{"idempotency_key":"k"}"#)
        #expect(found["traceparent"]?.contains(Self.trace) ?? false)
    }

    @Test(arguments: ["k", "漢字 😀", "a%20b", "~"]) func `a text is a CloudEvents attribute as it is`(_ text: String) {
        #expect(ResultWriter.attribute(text) == text)
    }

    @Test(arguments: [0, 0x0A, 0x1F, 0x7F, 0x80, 0x9F, 0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFF, 0x10FFFE] as [UInt32])
    func `a text with a character that CloudEvents forbids is no attribute`(_ code: UInt32) throws {
        #expect(ResultWriter.attribute("a" + String(Character(try #require(Unicode.Scalar(code))))) == nil)
        #expect(ResultWriter.attribute("") == nil && ResultWriter.attribute(nil) == nil)
    }
}
