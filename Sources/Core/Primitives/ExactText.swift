/// Text that is compared byte by byte. Swift's `String` treats canonically equivalent texts as equal, but hosts or
/// projects that the API distinguishes must never be merged.
package struct ExactText: Hashable, Comparable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (a: Self, b: Self) -> Bool {
        // Texts are almost always native, and then their bytes are compared at once.
        unsafe a.text.utf8.withContiguousStorageIfAvailable { one in
            unsafe b.text.utf8.withContiguousStorageIfAvailable { other in
                unsafe one.count == other.count
                    && (one.baseAddress == other.baseAddress
                        || hasSameBytes(UnsafeRawBufferPointer(one), UnsafeRawBufferPointer(other)))
            }
        }.flatMap { $0 } ?? a.text.utf8.elementsEqual(b.text.utf8)
    }

    /// Eight bytes at a time, because each lookup of a project or host compares two texts. The lengths must be equal.
    private static func hasSameBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while index + 8 <= a.count {
            guard
                unsafe a.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                    == b.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            else { return false }
            index += 8
        }
        while index < a.count {
            guard unsafe a[index] == b[index] else { return false }
            index += 1
        }
        return true
    }

    package static func < (a: Self, b: Self) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }

    package func hash(into hasher: inout Hasher) {
        let isHashed: Void? = unsafe text.utf8.withContiguousStorageIfAvailable {
            unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if isHashed == nil {
            for byte in text.utf8 { unsafe withUnsafeBytes(of: byte) { unsafe hasher.combine(bytes: $0) } }
        }
        hasher.combine(UInt8(0xFF))
    }
}
