internal import Glibc

/// What the kernel counts for this process (proc(5)). Zero where /proc cannot be read.
struct ProcessFigures: Sendable {
    var cpuSeconds = 0.0
    var residentBytes = 0
    var openFiles = 0
    /// In seconds since 1970.
    var startedAt = 0.0

    static func read() -> ProcessFigures {
        var figures = ProcessFigures()
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        // The second field is the program's name in parentheses, and may contain spaces.
        let fields = (text("/proc/self/stat").split(separator: ")").last ?? "").split(separator: " ")
        func number(_ field: Int) -> Double { fields.count > field - 3 ? Double(fields[field - 3]) ?? 0 : 0 }
        figures.cpuSeconds = (number(14) + number(15)) / ticks
        figures.residentBytes = Int(number(24)) * sysconf(Int32(_SC_PAGESIZE))
        let boot = text("/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }?.dropFirst(6)
        figures.startedAt = (boot.flatMap { Double($0) } ?? 0) + number(22) / ticks
        if let directory = unsafe opendir("/proc/self/fd") {
            while let entry = unsafe readdir(directory) {
                // Neither `.` and `..` nor the directory's own descriptor.
                if unsafe entry.pointee.d_name.0 != 46 { figures.openFiles += 1 }
            }
            unsafe closedir(directory)
            figures.openFiles -= 1
        }
        return figures
    }

    private static func text(_ path: String) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var (bytes, block) = ([UInt8](), [UInt8](repeating: 0, count: 16 << 10))
        while true {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += block[..<count]
        }
    }
}
