import Testing

@testable import Audit
@testable import Core

/// A result that contradicts its request or itself.
@Suite struct AlterationTests {
    static let history = Play.everything

    struct Change: CustomTestStringConvertible, Sendable {
        var path: [String]
        var value: JSON?
        var statuses: [Status] = [.succeeded, .failed, .duplicate, .conflict, .expired, .partiallySucceeded]

        var testDescription: String { "\(path.joined(separator: ".")) = \(value?.text ?? "nothing")" }
    }

    @Test(arguments: [
        Change(path: ["idempotency_key"], value: .string("other")), Change(path: ["idempotency_key"], value: nil),
        Change(path: ["project_id"], value: .string("other")), Change(path: ["plugin_code"], value: .string("hips")),
        Change(path: ["plugin_code"], value: nil), Change(path: ["plugin_code"], value: .integer(1)),
        Change(path: ["enterprise_project_id"], value: .string("0")),
        Change(path: ["operate_all"], value: .bool(true)), Change(path: ["operate_all"], value: nil),
        Change(path: ["host_id_list"], value: .array([.string("other")])),
        Change(path: ["host_id_list"], value: .string("h1")),
        Change(path: ["correlation_id"], value: .string("other")),
        Change(path: ["requested_by"], value: .string("other")), Change(path: ["reason"], value: .string("other")),
        Change(path: ["request", "topic"], value: .string("other")),
        Change(path: ["request", "timestamp"], value: .string("2026-01-01T00:00:00.000Z")),
        Change(path: ["request", "timestamp"], value: nil),
        Change(path: ["completed_at"], value: .string("2027-01-01T00:00:00.000Z")),
        Change(path: ["attempts"], value: nil), Change(path: ["attempts"], value: .integer(-1)),
        Change(path: ["status"], value: .string("rejected")),
        Change(path: ["call"], value: nil, statuses: [.succeeded, .partiallySucceeded]),
        Change(path: ["attempts"], value: .integer(1), statuses: [.duplicate, .conflict, .expired, .rejected]),
        Change(path: ["error"], value: nil, statuses: [.failed, .rejected, .conflict, .expired, .partiallySucceeded]),
        Change(path: ["error"], value: .object([]), statuses: [.succeeded]),
        Change(path: ["error", "category"], value: .string("host"), statuses: [.rejected, .expired]),
        Change(path: ["error", "retryable"], value: .string("yes"), statuses: [.failed]),
        Change(path: ["failed_hosts"], value: nil, statuses: [.partiallySucceeded]),
        Change(path: ["failed_hosts"], value: .array([]), statuses: [.partiallySucceeded, .succeeded]),
        Change(path: ["original"], value: .object([]), statuses: [.succeeded, .rejected]),
    ]) func `an altered value is found`(_ change: Change) throws {
        for status in change.statuses {
            var history = Self.history
            let place = try #require(history.places(status).last)
            history.set(place, change.path, change.value)
            let violations = history.audit()
            let altered = try #require(violations.first { $0.rule == .altered }, "\(status)")
            #expect(altered.result == history.results[place].position)
            #expect(altered.request == Position(partition: 0, offset: Self.history.request(place)))
        }
    }

    @Test(arguments: [
        ("ce_id", "x"), ("ce_type", "hss.plugin.start.failed.v2"), ("ce_specversion", "0.3"), ("ce_source", ""),
        ("ce_subject", "other"), ("ce_time", "2026-01-01T00:00:00Z"), ("ce_correlationid", "other"),
        ("ce_causationid", "other"), ("content-type", "text/plain"), ("traceparent", "00-other"),
        ("tracestate", "other"), ("ce_traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ]) func `an altered header is found`(_ name: String, _ text: String) {
        var history = Self.history
        history.setHeader(history.places(.succeeded)[1], name, text)
        #expect(history.audit().map(\.rule) == [.altered])
    }

    @Test func `an altered record key is found`() {
        for status in Status.allCases {
            var history = Self.history
            history.results[history.places(status)[0]].key = Array("other".utf8)
            #expect(history.audit().map(\.rule) == [.altered])
        }
    }

    @Test func `an impossible status is found, even in an otherwise consistent result`() throws {
        var history = Self.history
        let invalid = try #require(history.places(.rejected).last { history.value($0)["plugin_code"] == nil })
        history.turn(invalid, into: .succeeded)
        #expect(history.audit().contains { $0.rule == .altered })

        history = Self.history
        let valid = try #require(history.places(.succeeded).last)
        history.turn(valid, into: .rejected)
        history.set(valid, ["error", "category"], .string("invalid"))
        #expect(history.audit().contains { $0.rule == .altered })
        history.set(valid, ["error", "category"], .string("policy"))
        #expect(!history.audit().contains { $0.rule == .altered }, "a policy may have refused it")
        history.set(valid, ["error", "category"], .string("expired"))
        history.turn(valid, into: .expired)
        history.set(valid, ["error", "category"], .string("expired"))
        #expect(history.audit().contains { $0.rule == .altered }, "it had no time to expire at")
    }

    @Test func `fields left out of an oversized result are no alteration`() throws {
        var history = Self.history
        let place = try #require(history.places(.partiallySucceeded).last)
        for name in ["reason", "requested_by", "host_id_list", "failed_hosts"] { history.set(place, [name], nil) }
        #expect(history.audit() == [])
    }

    @Test func `a rejection for size must name the size`() throws {
        var history = Self.history
        let place = try #require(
            history.places(.rejected).first {
                history.value($0)["error"]?["detail"]?.string?.contains("bytes, and is") ?? false
            })
        history.set(place, ["error", "detail"], .string("value must be at most 2000 bytes, and is 9"))
        #expect(history.audit().map(\.rule) == [.altered])
    }
}
