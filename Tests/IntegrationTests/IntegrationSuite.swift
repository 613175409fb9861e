import Testing

/// Everything on the real broker, one test after another.
@Suite(.serialized, .enabled(if: Broker.isAvailable, "\(Broker.reason)")) struct OnARealBroker {}
