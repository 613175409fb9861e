internal import CFuzzer
internal import Glibc

/// Usage: `TARGET=json fuzz [flags of libFuzzer] [corpus]`. Without TARGET, it prints the targets' names and longest
/// inputs.
@main nonisolated enum Entry {
    static func main() {
        guard named() != nil else {
            for target in Target.all { print(target.name, target.maximumBytes) }
            return
        }
        var count = CommandLine.argc
        var arguments = unsafe CommandLine.unsafeArgv as UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        exit(unsafe LLVMFuzzerRunDriver(&count, &arguments, test))
    }

    static func named() -> Target? {
        let name = unsafe getenv("TARGET").map { unsafe String(cString: $0) }
        return Target.all.first { $0.name == name }
    }
}

private let chosen = Entry.named()

/// Tests one input. A broken rule ends the process, as a trap does, and libFuzzer keeps the input.
private func test(_ start: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let begin = clock()
    do { try chosen?.check(unsafe Array(UnsafeBufferPointer(start: start, count: size))) } catch {
        fatalError("does not hold: \(error)")
    }
    // Measures processor time. With wall time, a busy machine would look like a hang.
    if clock() - begin > 1_000_000 { fatalError("does not hold: an input is read within a second") }
    return 0
}
