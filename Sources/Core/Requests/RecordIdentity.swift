internal import Crypto

extension Record {
    /// Tells this record from any other, also from one that has its offset in another topic, or in the same topic after it
    /// was deleted and created again or truncated: a hash of topic, partition, offset, timestamp, key, value and headers.
    /// The broker's own id of a topic is not known to librdkafka 2.0.
    package func identity(topic: String) -> Fingerprint {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size + 64 + topic.utf8.count + headers.count * 16)
        // Every length stands before its text, so that no two records are written alike.
        func put(_ number: Int64) {
            var rest = UInt64(bitPattern: number)
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: rest))
                rest >>= 8
            }
        }
        func put(_ text: [UInt8]?) {
            put(Int64(text?.count ?? -1))
            if let text { bytes += text }
        }
        put(Array(topic.utf8))
        put(Int64(position.partition))
        put(position.offset)
        put(timestamp?.milliseconds ?? .min)
        put(key)
        put(value)
        for header in headers {
            put(Array(header.name.utf8))
            put(header.value)
        }
        return Fingerprint(of: bytes)
    }
}
