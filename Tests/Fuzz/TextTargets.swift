import Foundation

@testable import Core
@testable import Sandbox

/// JSON that can be read has one written form, and reading that form gives the same value.
@Sendable func checkJSON(_ bytes: [UInt8]) throws {
    let json: JSON
    do throws(JSON.SyntaxError) { json = try JSON(parsing: bytes) } catch {
        try hold((0...bytes.count).contains(error.offset), "the position of an error is in the text")
        try hold(error.message.utf8.count <= 512, "an error message is bounded")
        return
    }
    try hold(try JSON(parsing: bytes) == json, "reading twice gives the same result")
    let written = json.bytes
    try hold(String(validating: written, as: UTF8.self) != nil, "what is written is UTF-8")
    let again = try JSON(parsing: written)
    try hold(again == json && again.bytes == written, "what is written is read as the same")
    // A second reader confirms that ours accepts nothing that is not JSON. (Foundation has limits of its own for
    // numbers.)
    if !bytes.contains(UInt8(ascii: "e")) && !bytes.contains(UInt8(ascii: "E")) {
        let other = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
        try hold(other != nil, "Foundation reads it too")
    }
}

@Sendable func checkTime(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    let times = [Timestamp(rfc3339: text), Timestamp(basic: text), Timestamp(httpDate: text)]
    try hold(times.count { $0 != nil } <= 1, "no text is a time in two formats")
    for time in times.compactMap(\.self) {
        try hold(Timestamp(rfc3339: time.description) == time, "\(time) is read as it was written")
        let second = time.milliseconds - (time.milliseconds % 1000 + 1000) % 1000
        try hold(Timestamp(basic: time.basic)?.milliseconds == second, "\(time.basic) is read as it was written")
        try hold(
            Timestamp(httpDate: time.httpDate)?.milliseconds == second, "\(time.httpDate) is read as it was written")
    }
}

@Sendable func checkFault(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    var fault: Fault
    do throws(Fault.ParseError) { fault = try Fault(parsing: text) } catch {
        try hold(!error.description.isEmpty, "a refusal has a reason")
        return
    }
    try hold(try Fault(parsing: text) == fault, "reading twice gives the same result")
    switch fault.kind {
    case .status(let status): try hold((300...599).contains(status), "a status that is a failure")
    case .code(let code): try hold(!code.isEmpty, "a code")
    case .slow(let time): try hold((0...86_400_000).contains(time.milliseconds), "a delay of a day at most")
    case .html, .echo, .hang, .reset, .lost: break
    }
    let count = fault.count
    var generator = SplitMix64(seed: 1)
    var (seen, struck) = (0, 0)
    for _ in 0..<10
    where fault.strikes(
        api: fault.api ?? "start", project: fault.project ?? "p", plugin: fault.plugin, hosts: [fault.host ?? "h"],
        seen: &seen,
        using: &generator)
    {
        struck += 1
    }
    try hold(struck <= min(10, count ?? 10), "a fault strikes at most as often as configured")
    try hold(
        fault.rate != nil || fault.every != nil || struck == min(10, count ?? 10), "an unconditional fault strikes")
}
