import Testing

@testable import Core

@Suite struct OpenRequestsTests {
    static func entry(_ offset: Int64, partition: Int32 = 0, key: String = "k") -> OpenRequest {
        let json = #"{"idempotency_key":"\#(key)","project_id":"p","plugin_code":"ndr","host_id_list":["h"]}"#
        let record = Record(
            position: Position(partition: partition, offset: offset), timestamp: nil, key: Array(key.utf8),
            value: Array(json.utf8))
        let decoder = RequestDecoder(maximumBytes: 1000, policy: Policy())
        var entry = OpenRequest(
            position: record.position, identity: record.identity(topic: "t"), recordKey: record.key, size: record.size,
            admittedAt: .zero)
        entry.request = try? decoder.decode(record).get()
        return entry
    }

    @Test func `a request that leaves takes its bytes, its place and its key with it`() throws {
        var open = OpenRequests()
        let id = open.insert(Self.entry(7))
        let key = try #require(open[id]?.scopedKey)
        open.occupyKey(id)
        #expect(open.owner(of: key, in: 0) == id && open.owner(of: key, in: 1) == nil && open.bytes > 0)
        let completed = open.complete(id)
        #expect(completed == nil, "it has no result yet")
        let abandoned = open.abandon(id)
        #expect(abandoned?.position.offset == 7)
        #expect(open.isEmpty && open.bytes == 0 && open.ids(of: 0).isEmpty && open.owner(of: key, in: 0) == nil)
        open.update(id) { $0.attempts = 9 }
        #expect(open[id] == nil)
    }

    @Test func `attempts are kept for the same record, and not for another one at its offset`() {
        var open = OpenRequests()
        for key in ["k", "another"] {
            let id = open.insert(Self.entry(7))
            open.update(id) { $0.attempts = 2 }
            _ = open.abandon(id)
            let next = open.insert(Self.entry(7, key: key))
            #expect(open[next]?.attempts == (key == "k" ? 2 : 0))
            open.update(next) { ($0.attempts, $0.failingSince) = (0, nil) }
            _ = open.abandon(next)
        }
    }
}
