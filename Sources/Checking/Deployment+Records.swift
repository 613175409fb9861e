internal import Core

/// Replication, sizes and times of the topics' records.
extension Deployment {
    /// Whether results can be acknowledged: they are written with acks=all.
    func replication(_ layout: TopicLayout, _ settings: [String: String]) -> Finding {
        let (topic, least) = (resultsTopic, settings["min.insync.replicas"].flatMap(Int.init) ?? 1)
        if least > layout.replicas {
            return .error(
                .replication,
                "\(topic) has min.insync.replicas=\(least) and \(Self.count(layout.replicas, "replica")), so no result is "
                    + "ever acknowledged",
                wanted: "min.insync.replicas below the number of replicas",
                remedy: "\(alter(topic, "min.insync.replicas=\(max(1, layout.replicas - 1))")), or add replicas")
        }
        if layout.inSync < least {
            return .error(
                .replication, "\(topic) has \(Self.count(layout.inSync, "replica")) in sync and needs \(least)",
                wanted: "at least \(least) in sync", remedy: "start the brokers that hold its replicas")
        }
        if layout.replicas == 1 {
            return .warning(
                .replication, "\(topic) has one replica, so results are lost with its broker, and dedupe with them",
                wanted: "3 replicas, min.insync.replicas=2", remedy: "add replicas: kafka-reassign-partitions.sh")
        }
        if least == layout.replicas {
            return .warning(
                .replication,
                "\(topic) needs all \(layout.replicas) replicas (min.insync.replicas=\(least)), so calls stop "
                    + "whenever one broker is down",
                wanted: "min.insync.replicas=\(least - 1)",
                remedy: alter(topic, "min.insync.replicas=\(least - 1)"))
        }
        if least == 1 {
            return .warning(
                .replication,
                "\(topic) has min.insync.replicas=1, so an acknowledged result can be lost with one broker",
                wanted: "min.insync.replicas=2", remedy: alter(topic, "min.insync.replicas=2"))
        }
        return .ok(.replication, "\(topic) has \(layout.replicas) replicas, min.insync.replicas=\(least)")
    }

    /// librdkafka's own limits if no property sets them (CONFIGURATION.md).
    private var longestSent: Int { properties["message.max.bytes"].flatMap(Int.init) ?? 1_000_000 }
    private var longestReceived: Int { properties["receive.message.max.bytes"].flatMap(Int.init) ?? 100_000_000 }

    /// What the shortest form of a result can need: the headers, and a key, scope and correlation id of full length.
    private static let shortestResult = 4096

    func messageSize(results: [String: String]) -> Finding {
        let limit = results["max.message.bytes"].flatMap(Int.init) ?? .max
        let usable = min(limit, longestSent)
        let (what, remedy) =
            limit < longestSent
            ? ("max.message.bytes=\(limit) of \(resultsTopic)", alter(resultsTopic, "max.message.bytes=1048588"))
            : (
                "the property message.max.bytes=\(longestSent)",
                "raise it, or remove --kafka-property message.max.bytes"
            )
        if usable < Self.shortestResult {
            return .error(
                .messageSize, "\(what) is too small for some results, which are then retried for ever",
                wanted: "at least \(Self.shortestResult) bytes", remedy: remedy)
        }
        if usable < maximumRequestBytes {
            return .warning(
                .messageSize,
                "\(what) is less than --max-request-bytes, so results of long requests lose their details",
                wanted: "at least \(maximumRequestBytes) bytes", remedy: remedy)
        }
        return .ok(.messageSize, "\(resultsTopic) takes results up to \(usable) bytes")
    }

    func messageSize(requests: [String: String]) -> Finding {
        guard let limit = requests["max.message.bytes"].flatMap(Int.init) else {
            return .ok(.messageSize, "\(requestsTopic) has no limit")
        }
        if limit > longestReceived {
            return .error(
                .messageSize,
                "\(requestsTopic) takes records up to \(limit) bytes, and the client receives \(longestReceived) "
                    + "(receive.message.max.bytes): a longer one stops its partition",
                wanted: "at most \(longestReceived) bytes", remedy: alter(requestsTopic, "max.message.bytes=1048588"))
        }
        if limit < maximumRequestBytes {
            return .warning(
                .messageSize,
                "\(requestsTopic) takes records up to \(limit) bytes: the broker refuses requests that "
                    + "--max-request-bytes (\(maximumRequestBytes)) allows",
                wanted: "at least \(maximumRequestBytes) bytes, or a smaller --max-request-bytes",
                remedy: alter(requestsTopic, "max.message.bytes=\(maximumRequestBytes + 4096)"))
        }
        return .ok(.messageSize, "\(requestsTopic) takes requests up to \(limit) bytes")
    }

    /// The tolerance for a record's time.
    package static let futureTolerance: Duration = .seconds(60)

    /// A broker does not tell its time. A record that is dated later than this machine's clock shows that the clock
    /// here, or the one that dated the record, is wrong.
    func recordTimes(_ hasFutureRecords: Answer<Bool>) -> Finding {
        switch hasFutureRecords {
        case .known(true):
            return .warning(
                .recordTimes,
                "a record is dated more than a minute later than this machine's clock; expiry and dedupe go wrong",
                wanted: "clocks that agree within a second",
                remedy: "run NTP on this machine, on the brokers and where requests are produced")
        case .known(false):
            return .ok(
                .recordTimes, "no record is dated later than this machine's clock (a broker does not tell its time)")
        case .denied: return .ok(.recordTimes, "not checked: no permission to read the topics")
        case .unknown(let reason):
            return .warning(
                .recordTimes, "not checked: \(reason)", wanted: "an answer", remedy: "run check again")
        }
    }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
}
