internal import CCrypto

/// SHA-256, HMAC-SHA256 and constant-time comparison, by libcrypto (OpenSSL 3). Pure functions from bytes to bytes.
package enum Digest {
    /// Fetched once, because OpenSSL otherwise looks the algorithm up for each digest.
    nonisolated(unsafe) private static let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil)

    /// The 32-byte SHA-256 of `bytes` (FIPS 180-4).
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            unsafe bytes.withUnsafeBytes {
                unsafe _ = EVP_Digest($0.baseAddress, $0.count, out.baseAddress, nil, algorithm, nil)
            }
            count = 32
        }
    }

    /// The first 16 bytes of the SHA-256 of `bytes`, as two big-endian numbers.
    package static func sha256Start(_ bytes: [UInt8]) -> (UInt64, UInt64) {
        unsafe withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { out in
            unsafe bytes.withUnsafeBytes {
                unsafe _ = EVP_Digest(
                    $0.baseAddress, $0.count, out.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, algorithm, nil)
            }
            return unsafe (
                UInt64(bigEndian: out.load(as: UInt64.self)),
                UInt64(bigEndian: out.load(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    /// The 32-byte HMAC-SHA256 of `bytes` under `key` (RFC 2104).
    package static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { out, count in
            var length: UInt32 = 0
            unsafe key.withUnsafeBufferPointer { key in
                unsafe bytes.withUnsafeBufferPointer {
                    unsafe _ = HMAC(
                        EVP_sha256(), key.baseAddress, Int32(key.count), $0.baseAddress, $0.count, out.baseAddress,
                        &length)
                }
            }
            count = Int(length)
        }
    }

    /// Lower-case hexadecimal, two digits per byte.
    package static func hex(_ bytes: [UInt8]) -> String {
        func digit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 87 + nibble }
        return unsafe String(unsafeUninitializedCapacity: bytes.count * 2) { out in
            for (index, byte) in bytes.enumerated() {
                unsafe out[index * 2] = digit(byte >> 4)
                unsafe out[index * 2 + 1] = digit(byte & 15)
            }
            return bytes.count * 2
        }
    }

    /// Whether both arrays hold the same bytes. The time depends only on their length.
    package static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        return unsafe a.withUnsafeBufferPointer { a in
            unsafe b.withUnsafeBufferPointer { unsafe CRYPTO_memcmp(a.baseAddress, $0.baseAddress, a.count) == 0 }
        }
    }
}
