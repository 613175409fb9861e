internal import Core

/// The Kafka client: the library's defects, TLS, and why no broker can be used.
extension Deployment {
    private func property(_ names: String...) -> String? { names.compactMap { properties[$0] }.first?.lowercased() }

    private var securityProtocol: String { property("security.protocol") ?? "plaintext" }
    private var mechanism: String? {
        securityProtocol.hasPrefix("sasl") ? property("sasl.mechanism", "sasl.mechanisms") ?? "gssapi" : nil
    }

    /// The known defects of this librdkafka that these settings meet. `results`: the settings of the results topic.
    func defects(results: [String: String]) -> [Finding] {
        func defect(_ found: String, fixed: String, _ instead: String) -> Finding {
            .warning(
                .library, "librdkafka \(library.text) \(found)", wanted: "librdkafka \(fixed) or newer",
                remedy: "install a newer librdkafka, or \(instead)")
        }
        var found: [Finding] = []
        if let mechanism, mechanism.hasPrefix("scram"), library.isBefore(2, 6, 1) {
            found.append(
                defect(
                    "repeats the client's SCRAM nonce, and brokers from 3.7.2 refuse the login", fixed: "2.6.1",
                    "use PLAIN over TLS or a client certificate"))
        }
        if mechanism == "gssapi", library.isBefore(2, 11) {
            found.append(
                defect(
                    "cannot log in with Kerberos at Kafka 4.0.0 (KAFKA-19444)", fixed: "2.11",
                    "use Kafka 4.0.1 or newer, PLAIN over TLS or a client certificate"))
        }
        if quota == nil, property("partition.assignment.strategy")?.contains("cooperative") ?? false,
            library.isBefore(2, 10)
        {
            found.append(
                defect(
                    "can loop, hang or lose its assignment with cooperative-sticky", fixed: "2.10",
                    "leave partition.assignment.strategy at its default"))
        }
        if results["unclean.leader.election.enable"] == "true", library.isBefore(2, 1) {
            found.append(
                defect(
                    "does not notice a log that was cut by an unclean leader election, which \(resultsTopic) allows",
                    fixed: "2.1", alter(resultsTopic, "unclean.leader.election.enable=false")))
        }
        return found.isEmpty
            ? [.ok(.library, "librdkafka \(library.text), without a known defect for these settings")] : found
    }

    /// How far the connection can be trusted.
    func encryption() -> Finding {
        guard securityProtocol.hasSuffix("ssl") else {
            guard mechanism == "plain" else { return .ok(.tls, "off (security.protocol=\(securityProtocol))") }
            return .warning(
                .tls, "security.protocol=\(securityProtocol) sends the password unencrypted", wanted: "SASL_SSL",
                remedy: "use a TLS listener and --kafka-property security.protocol=SASL_SSL")
        }
        if property("enable.ssl.certificate.verification") == "false" {
            return .warning(
                .tls, "the broker's certificate is not verified, so any server can pose as a broker",
                wanted: "enable.ssl.certificate.verification=true",
                remedy: "remove the property, and set ssl.ca.location to the CA of the brokers")
        }
        let algorithm = property("ssl.endpoint.identification.algorithm") ?? (library.isBefore(2, 0) ? "none" : "https")
        guard algorithm == "none" else { return .ok(.tls, "the broker's certificate and its host name are verified") }
        return .warning(
            .tls,
            "the host name in the broker's certificate is not compared, so any server with a certificate of that CA can "
                + "pose as a broker",
            wanted: "ssl.endpoint.identification.algorithm=https",
            remedy: "set it to none only where no certificate can match, as with DMS for Kafka, and set "
                + "ssl.ca.location to a CA that signs nothing else")
    }

    /// Why no broker can be used. `run` ends with the same sentence.
    package func failure(_ failure: ConnectionFailure) -> Finding {
        let hint = failure.hint.isEmpty ? "" : "; \(failure.hint)"
        func refused(_ found: String, _ wanted: String, _ remedy: String, _ exitCode: Int32) -> Finding {
            .error(
                .brokers, "\(found): \(failure.text)", wanted: wanted, remedy: remedy, exitCode: exitCode)
        }
        switch failure.cause {
        case .configuration:
            return .error(
                .brokers, failure.text, wanted: "properties that this librdkafka has and the worker allows",
                remedy: "correct or remove the property", setting: "--kafka-property")
        case .notPermitted:
            return refused(
                "authentication or authorization failed at the broker \(bootstrapServers)",
                "a user that the broker accepts",
                "check sasl.username, sasl.password and ACLs", 77)
        case .insecure:
            return refused(
                "TLS with the broker at \(bootstrapServers) failed", "a certificate that ssl.ca.location verifies",
                "check ssl.ca.location, and that the certificate names the hosts in --bootstrap-servers\(hint)", 69)
        case .hostName:
            return refused(
                "the certificate of the broker at \(bootstrapServers) is good, but does not name that host",
                "a certificate that names the host",
                "use the name in the certificate in --bootstrap-servers and advertised.listeners; with DMS for Kafka, "
                    + "whose certificates do not name the brokers, set --kafka-property "
                    + "ssl.endpoint.identification.algorithm=none: then any server with a certificate of that CA can "
                    + "pose as a broker, so ssl.ca.location must hold the instance's own CA only", 69)
        case .unreachable:
            return refused(
                "the broker at \(bootstrapServers) cannot be reached", "a broker that answers",
                "check --bootstrap-servers\(hint)", 69)
        }
    }
}
