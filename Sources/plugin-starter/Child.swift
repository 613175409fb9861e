internal import CLinux
internal import Glibc

/// Another process of this program. It ends when this process ends.
nonisolated final class Child {
    let pid: pid_t
    private let output: Int32
    private var exitStatus: Int32?

    /// Standard error goes to the file, or to this process's standard error if there is none.
    init?(_ arguments: [String], environment: [String: String], errorFile: String?) {
        var pipe: [Int32] = [0, 0]
        guard unsafe Glibc.pipe(&pipe) == 0 else { return nil }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
        unsafe posix_spawn_file_actions_addclose(&actions, pipe[0])
        unsafe posix_spawn_file_actions_addclose(&actions, pipe[1])
        if let errorFile {
            unsafe posix_spawn_file_actions_addopen(&actions, 2, errorFile, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        }
        var words = unsafe (["plugin-starter"] + arguments).map { unsafe strdup($0) }
        unsafe words.append(nil)
        var settings = unsafe environment.map { unsafe strdup("\($0.key)=\($0.value)") }
        unsafe settings.append(unsafe strdup("PLUGIN_STARTER_ENDS_WITH_PARENT=1"))
        unsafe settings.append(nil)
        defer {
            unsafe words.forEach { unsafe free($0) }
            unsafe settings.forEach { unsafe free($0) }
        }
        var pid: pid_t = 0
        let code = unsafe posix_spawn(&pid, "/proc/self/exe", &actions, nil, words, settings)
        close(pipe[1])
        guard code == 0 else {
            close(pipe[0])
            return nil
        }
        self.pid = pid
        output = pipe[0]
    }

    deinit {
        if !hasEnded { kill(pid, SIGKILL) }
        close(output)
    }

    /// The first line on standard output. Nil if the process ends or prints no line within this time.
    func firstLine(milliseconds: Int32) -> String? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            var watched = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&watched, 1, milliseconds) == 1, unsafe read(output, &byte, 1) == 1 else { return nil }
            if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            line.append(byte)
        }
    }

    var hasEnded: Bool {
        if exitStatus != nil { return true }
        var status: Int32 = 0
        guard unsafe waitpid(pid, &status, WNOHANG) == pid else { return false }
        exitStatus = status
        return true
    }

    /// Asks the process to end and waits for it. Returns its exit code, or nil if a signal ended it.
    func stop(_ signal: Int32 = SIGTERM) -> Int32? {
        if !hasEnded {
            kill(pid, signal)
            var status: Int32 = 0
            if unsafe waitpid(pid, &status, 0) == pid { exitStatus = status }
        }
        guard let status = exitStatus, status & 0x7F == 0 else { return nil }
        return (status >> 8) & 0xFF
    }
}
