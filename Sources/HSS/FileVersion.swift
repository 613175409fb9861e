internal import Glibc

/// Identifies the version of a file that may be replaced or rewritten, to detect a change.
package struct FileVersion: Equatable, Sendable {
    private var inode: UInt = 0
    /// Negative for a file that is not there.
    private var size = -1
    private var seconds = 0
    private var nanoseconds = 0

    /// Whether it is a file that can be read again. A pipe or standard input is not.
    package private(set) var isRegular = false

    private static let maximumBytes = 64 << 10

    package init(of path: String) {
        var about = stat()
        guard unsafe stat(path, &about) == 0 else { return }
        isRegular = about.st_mode & S_IFMT == S_IFREG
        inode = UInt(about.st_ino)
        size = Int(about.st_size)
        (seconds, nanoseconds) = (about.st_mtim.tv_sec, about.st_mtim.tv_nsec)
    }

    /// Reads a whole file; nil if it cannot be read, or is longer than 64 KiB.
    package static func contents(of path: String) -> [UInt8]? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= maximumBytes {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            if count < 0 { return nil }
            if count == 0 { return bytes }
            bytes += block[..<count]
        }
        return nil
    }
}
