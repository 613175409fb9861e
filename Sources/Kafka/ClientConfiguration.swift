internal import CRdkafka

/// How every client of this process reaches the cluster.
package struct ClientConfiguration: Sendable {
    package var bootstrapServers: String
    /// librdkafka properties that are passed through: TLS, SASL, timeouts, fetch sizes.
    package var properties: [(name: String, value: String)]

    /// The version of librdkafka: `0xMMmmrrpp`, and as text.
    package static var libraryVersion: (number: Int, text: String) {
        unsafe (Int(rd_kafka_version()), String(cString: rd_kafka_version_str()))
    }

    package init(bootstrapServers: String, properties: [(name: String, value: String)] = []) {
        self.bootstrapServers = bootstrapServers
        self.properties = properties
    }

    /// Properties that delivery and dedupe depend on, each with an alternative to setting it.
    package static let controlled: [(name: String, instead: String)] = [
        ("bootstrap.servers", "use --bootstrap-servers"),
        ("metadata.broker.list", "use --bootstrap-servers"),
        ("group.id", "use --group"),
        ("session.timeout.ms", "use --session-timeout"),
        ("enable.auto.commit", "the worker commits offsets itself"),
        ("auto.commit.enable", "the worker commits offsets itself"),
        ("auto.commit.interval.ms", "the worker commits offsets itself, once a second"),
        ("enable.auto.offset.store", "an offset is stored when its result is acknowledged"),
        ("enable.partition.eof", "the worker sets it where needed"),
        ("enable.idempotence", "results are always written by an idempotent producer"),
        ("acks", "results are always written with acks=all"),
        ("request.required.acks", "results are always written with acks=all"),
        ("message.timeout.ms", "results are retried without limit"),
        ("delivery.timeout.ms", "results are retried without limit"),
        ("transactional.id", "results are not written in transactions"),
        ("retries", "results are retried without limit"),
        ("message.send.max.retries", "results are retried without limit"),
        ("enable.gapless.guarantee", "a failed producer is recreated, and its results are sent again"),
        ("delivery.report.only.error", "a request ends when its result is acknowledged"),
        ("offset.store.method", "offsets are stored in the group"),
        ("statistics.interval.ms", "readiness depends on the statistics"),
        ("allow.auto.create.topics", "topics are never created"),
        ("enabled_events", "the worker enables the events that it needs"),
        ("test.mock.num.brokers", "use the broker command"),
        ("log.queue", "the library's log lines go to the worker's log"),
        ("auto.offset.reset", "a new group starts at the beginning, so that no request is skipped"),
    ]

    /// The last value given for any of these names.
    package func value(_ names: String...) -> String? { properties.last { names.contains($0.name) }?.value }

    /// The user name that the broker sees, if a property sets one.
    package var user: String? { value("sasl.username") }

    /// Why a property cannot be passed through, or nil if it can.
    package static func refusal(of name: String, value: String = "") -> String? {
        if let own = controlled.first(where: { $0.name == name }) { return "is set by the worker: \(own.instead)" }
        guard ["sasl.mechanism", "sasl.mechanisms"].contains(name), value.uppercased() == "OAUTHBEARER",
            crashesOnOAuth
        else { return nil }
        return "must not be OAUTHBEARER with librdkafka \(libraryVersion.text), which can crash with it: "
            + "use librdkafka 2.16 or newer, PLAIN over TLS, or a client certificate"
    }

    /// A hint about what the listener may require, added to an error if no broker answers.
    package var connectionHint: String {
        switch value("security.protocol")?.lowercased() {
        case nil, "plaintext", "sasl_plaintext":
            "if the listener uses TLS, set security.protocol=SSL or SASL_SSL"
        default:
            "security.protocol requires TLS: the listener may not use TLS, or may require a client certificate "
                + "(ssl.certificate.location, ssl.key.location)"
        }
    }

    /// This configuration without credentials, for a look at the broker's certificate. The certificate's CA is
    /// verified, and its host name is not.
    package var ignoringHostName: ClientConfiguration {
        var copy = self
        copy.properties = properties.filter {
            !$0.name.hasPrefix("sasl.") && $0.name != "security.protocol"
                && $0.name != "ssl.endpoint.identification.algorithm"
        }
        copy.properties += [("security.protocol", "SSL"), ("ssl.endpoint.identification.algorithm", "none")]
        return copy
    }

    /// Observed: 2.0.2 crashes when it refreshes the token; 2.16 works.
    static var crashesOnOAuth: Bool { rd_kafka_version() < 0x0210_0000 }

    /// Whether librdkafka repeats the client's SCRAM nonce, a bug before 2.6.1. Brokers with the fix for CVE-2024-56128
    /// refuse such logins.
    static var repeatsSCRAMNonce: Bool { rd_kafka_version() < 0x0206_0100 }

    /// Added to an error if a SCRAM login fails with a library that repeats the client's nonce.
    package var authenticationHint: String? {
        guard let mechanism = value("sasl.mechanism", "sasl.mechanisms"), mechanism.uppercased().hasPrefix("SCRAM"),
            Self.repeatsSCRAMNonce
        else {
            return nil
        }
        return
            "librdkafka \(Self.libraryVersion.text) repeats the client's SCRAM nonce, which brokers from 3.7.2 refuse "
            + "(fixed in 2.6.1): use PLAIN over TLS or a client certificate, or a newer librdkafka"
    }

    /// Creates librdkafka's configuration object. The user's properties override the role's defaults, and the settings
    /// that the worker's guarantees need override both.
    func make(
        defaults: [(String, String)], required: [(String, String)]
    ) throws(KafkaError) -> OpaquePointer {
        guard let conf = unsafe rd_kafka_conf_new() else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL) }
        let all =
            [
                ("client.id", "plugin-starter"), ("socket.keepalive.enable", "true"), ("log.queue", "true"),
                // librdkafka's default of ten seconds would delay the use of a broker that is back.
                ("reconnect.backoff.max.ms", "1000"),
            ] + defaults
            + properties.map { ($0.name, $0.value) } + [("bootstrap.servers", bootstrapServers)] + required
        for (name, value) in all {
            var text = [CChar](repeating: 0, count: 512)
            let outcome = unsafe rd_kafka_conf_set(conf, name, value, &text, text.count)
            if outcome != RD_KAFKA_CONF_OK {
                unsafe rd_kafka_conf_destroy(conf)
                throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, Self.text(text))
            }
        }
        return unsafe conf
    }

    static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
