import Foundation
import Testing

@testable import Core
@testable import Worker

@Suite struct LogOutputTests {
    /// A pipe with a bound buffer before it.
    static func log(capacity: Int) -> (log: Log, output: LogOutput, reader: FileHandle, pipe: Pipe) {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.fileHandleForWriting.fileDescriptor, capacity: capacity)
        return (Log(level: .info, format: .json, output: output), output, pipe.fileHandleForReading, pipe)
    }

    static func write(_ count: Int, to log: inout Log) {
        for number in 0..<count {
            log.write(
                .info, "a line",
                [(.detail, .string(String(repeating: "x", count: 100))), (.count, .integer(Int64(number)))])
            log.flush()
        }
    }

    static func lines(_ bytes: Data) throws -> [JSON] {
        try bytes.split(separator: UInt8(ascii: "\n")).map { try JSON(parsing: Array($0)) }
    }

    @Test func `lines that do not fit a full pipe are dropped at once, counted and reported later`() throws {
        var (log, output, reader, pipe) = Self.log(capacity: 16 << 10)
        // A pipe holds 64 KiB: most of these find no room anywhere.
        Self.write(2_000, to: &log)
        let dropped = log.dropped
        #expect(dropped > 1_000)
        var read = Data()
        while try Self.complete(read).count < 2_000 - dropped { read += reader.availableData }
        output.drain(within: .seconds(10))
        log.flush()
        output.drain(within: .seconds(10))
        try pipe.fileHandleForWriting.close()
        read += reader.readDataToEndOfFile()
        let all = try Self.lines(read)
        let told = all.filter { $0["message"]?.string == "log lines dropped" }
        #expect(all.count - told.count == 2_000 - dropped)
        #expect(told.compactMap { $0["count"]?.integer }.reduce(0, +) == Int64(dropped))
    }

    static func complete(_ bytes: Data) throws -> [JSON] {
        try lines(bytes[..<(bytes.lastIndex(of: UInt8(ascii: "\n")) ?? bytes.startIndex)])
    }

    @Test func `shutdown waits for lines that are being read, but not for ever`() throws {
        var (log, output, reader, pipe) = Self.log(capacity: 1 << 20)
        Self.write(2_000, to: &log)
        let began = Date()
        output.drain(within: .milliseconds(50))
        #expect(Date().timeIntervalSince(began) < 5)
        let reading = Thread { [reader] in while !reader.availableData.isEmpty {} }
        reading.start()
        output.drain(within: .seconds(20))
        #expect(log.dropped == 0)
        #expect(Date().timeIntervalSince(began) < 10, "it ends when all is written")
        try pipe.fileHandleForWriting.close()
    }

    @Test(arguments: Log.Format.allCases)
    func `characters that control a terminal or reverse text are escaped`(_ format: Log.Format) throws {
        let pipe = Pipe()
        let output = LogOutput(descriptor: pipe.fileHandleForWriting.fileDescriptor, capacity: 1 << 20)
        var log = Log(level: .info, format: format, output: output)
        let text = "a\u{1b}[2J\u{7f}\u{9b}2J\u{85}\u{202e}\u{2066}\u{2028}\u{61c}\nb é漢😀"
        log.write(.info, "a line", [(.key, .string(text))])
        log.flush()
        output.drain(within: .seconds(10))
        try pipe.fileHandleForWriting.close()
        let line = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(line.hasSuffix("\n") && !line.dropLast().unicodeScalars.contains(where: \.isDeceptive))
        #expect(line.contains("é漢😀") && line.contains(#"\u202e"#))
        if format == .json { #expect(try JSON(parsing: Array(line.utf8.dropLast()))["key"]?.string == text) }
    }

    @Test func `lines for a pipe whose reader is gone are counted as dropped`() throws {
        signal(SIGPIPE, SIG_IGN)
        var (log, output, reader, pipe) = Self.log(capacity: 1 << 20)
        try reader.close()
        // Together: a flush after a line was dropped would report it with a line of its own.
        for _ in 0..<10 { log.write(.info, "a line") }
        log.flush()
        output.drain(within: .seconds(10))
        #expect(log.dropped == 10)
        _ = pipe
    }
}
