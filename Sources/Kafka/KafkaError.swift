internal import CRdkafka

/// An error of the Kafka client, as librdkafka reports it (its `rd_kafka_resp_err_t`: local errors are negative,
/// protocol errors positive).
package struct KafkaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The category of an error, which determines the reaction.
    package enum Kind: Sendable {
        /// A property is unknown or has a wrong value. Only another setting helps.
        case configuration
        /// The broker does not accept this client's identity, or denies it a right.
        case notPermitted
        /// TLS failed because of the broker's certificate or the client's.
        case insecure
        /// A topic or partition that does not exist.
        case missing
        case unreachable
        case other
    }

    /// The resource that a missing right applies to.
    package enum Resource: Sendable { case topic, group, cluster }

    package var code: Int32
    /// The library's name for the code, such as `_ALL_BROKERS_DOWN`.
    package var name: String
    package var text: String
    /// The client that reported the error is unusable. Only a new client helps.
    package var isFatal = false
    package var isRetriable = false

    package var kind: Kind {
        switch rd_kafka_resp_err_t(rawValue: code) {
        case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR__CONFLICT, RD_KAFKA_RESP_ERR__NOT_CONFIGURED:
            .configuration
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
            .notPermitted
        case RD_KAFKA_RESP_ERR__SSL: .insecure
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
            .missing
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
            RD_KAFKA_RESP_ERR__TIMED_OUT:
            .unreachable
        default: .other
        }
    }

    /// The resource whose right is missing, or nil for any other error.
    package var right: Resource? {
        switch rd_kafka_resp_err_t(rawValue: code) {
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: .topic
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED: .group
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: .cluster
        default: nil
        }
    }

    package var isAllBrokersDown: Bool { code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue }

    /// Whether the record is larger than the topic accepts.
    package var isTooLarge: Bool { code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE.rawValue }

    package var description: String { text.isEmpty ? name : "\(text) (\(name))" }

    init(_ code: rd_kafka_resp_err_t, _ text: String = "") {
        self.code = code.rawValue
        name = unsafe String(cString: rd_kafka_err2name(code))
        self.text = unsafe text.isEmpty ? String(cString: rd_kafka_err2str(code)) : text
    }

    /// Takes ownership of librdkafka's error object and frees it.
    init(consuming error: OpaquePointer) {
        unsafe self.init(rd_kafka_error_code(error), String(cString: rd_kafka_error_string(error)))
        isFatal = unsafe rd_kafka_error_is_fatal(error) != 0
        isRetriable = unsafe rd_kafka_error_is_retriable(error) != 0
        unsafe rd_kafka_error_destroy(error)
    }
}

extension KafkaError {
    package static func missing(_ text: String) -> KafkaError {
        KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "there is no topic \(text)")
    }
    package static func unsupported(_ text: String) -> KafkaError {
        KafkaError(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, text)
    }
    static func named(_ code: Int32) -> KafkaError { KafkaError(rd_kafka_resp_err_t(rawValue: code)) }
    package static let hidden = KafkaError(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
    package static let timedOut = KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT)
}
