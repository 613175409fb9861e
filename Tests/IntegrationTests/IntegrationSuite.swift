import Testing

/// All tests on the real broker, one after another.
@Suite(.serialized, .enabled(if: Broker.isAvailable, "\(Broker.reason)")) struct OnARealBroker {}
