import Testing

/// All tests on a broker, one after another.
@Suite(.serialized) struct OnABroker {}

extension Trait where Self == ConditionTrait {
    /// For what the embedded broker does not have: Kafka's own tools, TLS, durability, transactions, deletion.
    static var needsKafka: Self { .enabled(if: Broker.isReal, "needs a real broker: \(Broker.remedy)") }
}
