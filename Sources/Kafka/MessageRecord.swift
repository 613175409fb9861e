internal import CRdkafka
internal import Core

extension Record {
    /// Copies a librdkafka message once. For a value longer than `longestValue`, copies only the length.
    init(_ message: UnsafePointer<rd_kafka_message_t>, longestValue: Int = .max) {
        let m = unsafe message.pointee
        var type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let time = unsafe rd_kafka_message_timestamp(message, &type)
        // A producer may set any time. A time that has no calendar date is treated as absent.
        let isTime =
            type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time >= 0 && time <= Timestamp.writable.upperBound
        unsafe self.init(
            position: Position(partition: m.partition, offset: m.offset),
            timestamp: isTime ? Timestamp(milliseconds: time) : nil,
            key: Self.bytes(m.key, m.key_len), value: m.len > longestValue ? nil : Self.bytes(m.payload, m.len),
            headers: Self.headers(message))
        if unsafe m.len > longestValue { omittedBytes = unsafe m.len }
    }

    /// Copies only the last header with that name from a message.
    init(_ message: UnsafePointer<rd_kafka_message_t>, onlyHeader name: String) {
        var list: OpaquePointer?
        var value: UnsafeRawPointer?
        var size = 0
        unsafe self.init(
            position: Position(partition: message.pointee.partition, offset: message.pointee.offset), timestamp: nil,
            key: nil, value: nil)
        guard unsafe rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR,
            unsafe rd_kafka_header_get_last(list, name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR
        else { return }
        headers = unsafe [Header(name, Self.bytes(value, size))]
    }

    private static func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
        guard let start = unsafe start else { return nil }
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    private static func headers(_ message: UnsafePointer<rd_kafka_message_t>) -> [Header] {
        var list: OpaquePointer?
        guard unsafe rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list = unsafe list
        else { return [] }
        let count = unsafe rd_kafka_header_cnt(list)
        var headers: [Header] = []
        headers.reserveCapacity(count)
        for index in 0..<count {
            var name: UnsafePointer<CChar>?
            var value: UnsafeRawPointer?
            var size = 0
            guard unsafe rd_kafka_header_get_all(list, index, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
                let name = unsafe name
            else { break }
            unsafe headers.append(Header(String(cString: name), bytes(value, size)))
        }
        return headers
    }
}
