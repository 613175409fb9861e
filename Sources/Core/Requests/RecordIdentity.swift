internal import Crypto

extension Record {
    /// Identifies this record among all others, even those with its offset in another topic, or in the same topic after
    /// it was recreated or truncated. The identity is a hash of topic, partition, offset, timestamp, key, value and
    /// headers. librdkafka 2.0 does not expose the broker's own id of a topic.
    package func identity(topic: String) -> Fingerprint {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size + 64 + topic.utf8.count + headers.count * 16)
        // Each length is written before its text, so that different records have different encodings.
        func put(_ number: Int64) {
            unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        }
        func put(_ text: some Collection<UInt8>) {
            put(Int64(text.count))
            bytes.append(contentsOf: text)
        }
        func put(_ text: [UInt8]?) { if let text { put(text) } else { put(-1) } }
        put(topic.utf8)
        put(Int64(position.partition))
        put(position.offset)
        put(timestamp?.milliseconds ?? .min)
        put(key)
        put(value)
        for header in headers {
            put(header.name.utf8)
            put(header.value)
        }
        return Fingerprint(of: bytes)
    }
}
