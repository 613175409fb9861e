internal import Core
internal import Glibc
internal import Reporting
internal import Worker

/// The lines of a file or of standard input. It holds only the lines that are not taken yet.
nonisolated final class RequestInput {
    enum Reading {
        case lines([RequestLines.Line])
        /// A pipe has nothing to read at the moment.
        case idle
        case end
    }

    /// The name for messages.
    let name: String
    /// Whether it can be read a second time.
    let isFile: Bool
    private let descriptor: Int32
    private let start: off_t
    private var splitter = RequestLines()
    private var isFirst = true
    private var isAtEnd = false

    init(_ path: String) throws(CommandFailure) {
        name = path == "-" ? "standard input" : path
        descriptor = path == "-" ? 0 : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandFailure(64, "\(path) cannot be read") }
        var status = stat()
        isFile = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        start = isFile ? lseek(descriptor, 0, SEEK_CUR) : 0
    }

    deinit { if descriptor != 0 { close(descriptor) } }

    /// Begins again.
    func rewind() {
        _ = lseek(descriptor, start, SEEK_SET)
        (splitter, isFirst, isAtEnd) = (RequestLines(), true, false)
    }

    /// The next lines. Waits up to that time for a pipe.
    func next(milliseconds: Int32) throws(CommandFailure) -> Reading {
        guard !isAtEnd else { return .end }
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe isFile || poll(&watched, 1, milliseconds) > 0 else { return .idle }
        var lines = try readLines()
        if isFirst, let first = lines.first {
            isFirst = false
            if let whole = try wholeObject(first, lines.dropFirst()) { lines = [whole] }
        }
        return .lines(lines)
    }

    private func readLines() throws(CommandFailure) -> [RequestLines.Line] {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe Glibc.read(descriptor, &block, block.count)
        guard count >= 0 else {
            if errno == EINTR || errno == EAGAIN { return [] }
            throw CommandFailure(64, "\(name) cannot be read")
        }
        guard count > 0 else {
            isAtEnd = true
            return splitter.finish()
        }
        let lines = splitter.take(block[..<count])
        guard !splitter.isTooLong else {
            throw CommandFailure(
                64, "\(name), line \(splitter.nextNumber): must be at most \(RequestLines.maximumBytes) bytes")
        }
        return lines
    }

    /// An input whose first line begins an object and does not end it is one object over several lines.
    private func wholeObject(
        _ first: RequestLines.Line, _ rest: ArraySlice<RequestLines.Line>
    ) throws(CommandFailure) -> RequestLines.Line? {
        do throws(JSON.SyntaxError) {
            _ = try JSON(parsing: first.bytes)
            return nil
        } catch {
            guard error.offset >= first.bytes.count else { return nil }
        }
        var bytes = first.bytes
        func append(_ lines: some Sequence<RequestLines.Line>) {
            for line in lines { bytes += [UInt8(ascii: "\n")] + line.bytes }
        }
        append(rest)
        while !isAtEnd && bytes.count <= RequestLines.maximumBytes { append(try readLines()) }
        guard bytes.count <= RequestLines.maximumBytes else {
            throw CommandFailure(
                64, "\(name), line \(first.number): must be at most \(RequestLines.maximumBytes) bytes")
        }
        return RequestLines.Line(number: first.number, bytes: bytes)
    }
}
