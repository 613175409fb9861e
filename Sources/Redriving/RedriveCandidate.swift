package import Core
internal import Reporting

/// A failed request that may be sent again, from its result or from its dead letter.
package struct RedriveCandidate: Equatable, Sendable {
    /// The `ce_id` of its result.
    package let resultID: String
    /// Where the request's record is in the requests topic.
    package let request: Position
    package let status: Status
    package let code: String?
    package let plugin: String?
    /// The key within its project; nil for a request that is not valid.
    let key: Fingerprint?
    /// `Record.identity` of the request's record; nil where the result does not have it.
    var identity: Fingerprint?
    /// The whole record, from a dead letter.
    var record: Record?
}

extension RedriveCandidate {
    /// From a result. `topic`: the requests topic.
    init(_ entry: LedgerEntry, _ result: JSON, topic: String) {
        self.init(
            resultID: ResultWriter(requestsTopic: topic).id(entry.position, entry.status), request: entry.position,
            status: entry.status, code: result["error"]?["code"]?.string, plugin: result["plugin_code"]?.string,
            key: entry.key, identity: entry.source?.record, record: nil)
    }
}

/// A dead letter of this worker: the record as it was received, and the headers that were added to it.
package struct DeadLetterReading {
    /// The members that a result of the request would have, as far as the letter has them.
    let result: JSON
    let candidate: RedriveCandidate
    /// Whether the value was too long to be kept.
    let isWithoutValue: Bool
    /// The requests topic that the record was in.
    let topic: String

    /// Nil for a record that is not a dead letter of this worker.
    init?(_ letter: Record, _ decoder: RequestDecoder) {
        func text(_ name: String) -> String? { letter.deadLetterHeader(name) }
        guard let (topic, position) = letter.deadLetterOrigin, let id = text("result-id"),
            let status = id.split(separator: "/").last.flatMap({ Status(rawValue: String($0)) })
        else { return nil }
        guard id == ResultWriter(requestsTopic: topic).id(position, status) else { return nil }
        self.topic = topic
        isWithoutValue = text("omitted-bytes") != nil
        var record = Record(
            position: position, timestamp: text("timestamp").flatMap { Timestamp(rfc3339: $0) }, key: letter.key,
            value: letter.value, headers: letter.headers.filter { !$0.name.hasPrefix("dlq-") })
        record.omittedBytes = nil
        let decoded = decoder.decode(record)
        let fields: RequestFields
        var key: Fingerprint?
        switch decoded {
        case .success(let request): (fields, key) = (request.fields, request.scopedKey)
        case .failure(let rejection): fields = rejection.fields
        }
        func member(_ name: String, _ value: String?) -> [JSON.Member] {
            value.map { [.init(name, .string($0))] } ?? []
        }
        result = .object(
            member("status", status.rawValue) + member("idempotency_key", fields.idempotencyKey)
                + member("project_id", fields.projectID) + member("plugin_code", fields.pluginCode)
                + [
                    .init("host_id_list", .array(fields.hostIDs.map(JSON.string))),
                    .init("error", .object(member("code", text("code")) + member("category", text("category")))),
                ])
        candidate = RedriveCandidate(
            resultID: id, request: position, status: status, code: text("code"), plugin: fields.pluginCode, key: key,
            identity: nil, record: record)
    }
}
