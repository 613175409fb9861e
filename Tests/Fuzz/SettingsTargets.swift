@testable import Core
@testable import HSS
@testable import Settings

/// Checks the settings of `run` from a file.
@Sendable func checkConfig(_ bytes: [UInt8]) throws {
    let arguments = ["run", "--config", "f"]
    let settings: Settings?
    do throws(SettingsError) { settings = try resolve(arguments, file: bytes) } catch {
        try check(error, in: bytes)
        return
    }
    try check(settings)
}

/// Checks the operator's policy, which allows nothing more than its file does.
@Sendable func checkPolicy(_ bytes: [UInt8]) throws {
    let policy: Policy
    do throws(SettingsError) { policy = try PolicyFile.load(bytes, file: "f") } catch {
        try check(error, in: bytes)
        return
    }
    try hold(try PolicyFile.load(bytes, file: "f") == policy, "reading twice gives the same result")
    try hold(policy.maximumHosts.map { (1...1_000_000).contains($0) } ?? true, "a number of hosts")
    let names = policy.rules.map(\.name) + policy.limits.map(\.name) + policy.maintenance.map(\.name)
    try hold(Set(names).count == names.count, "each rule has a name of its own")
    try hold(Policy.reservedNames.isDisjoint(with: names), "no rule has the name of a key")
    for rule in policy.rules where rule.effect == .allow && (rule.operateAll || rule.allGrantedEnterpriseProjects) {
        try hold(rule.selector.projects != nil && rule.selector.plugins != nil, "a leave names projects and plugins")
    }
    for maintenance in policy.maintenance {
        if case .weekly(let days, let from, let lasting) = maintenance.times {
            try hold(!days.isEmpty && days.isSubset(of: 0...6), "days of a week")
            try hold(from >= .zero && lasting > .zero && lasting <= .seconds(86_400), "a time within a day")
        }
        _ = maintenance.end(at: Timestamp(milliseconds: Timestamp.writable.lowerBound))
    }
}

/// Checks a text as the value of each type, and its lines as a command line.
@Sendable func checkFlags(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    if let time = Duration(unitText: text) {
        try hold(Duration(unitText: time.unitText) == time, "\(time.unitText) is read as it was written")
        try hold(time >= .zero, "no duration is negative")
    }
    if let size = try? ValueType<Int>.size(1...(1 << 40)).parse(text) {
        try hold((1...(1 << 40)).contains(size), "a size keeps its range")
    }
    if let number = try? ValueType<Int>.whole(1...100).parse(text) {
        try hold((1...100).contains(number), "a number keeps its range")
    }
    if let quota = try? ValueType<QuotaSetting>.quota.parse(text) { try check(quota) }
    if let topic = try? ValueType<TopicSetting>.topic.parse(text) {
        try hold(!topic.name.isEmpty && (1...1000).contains(topic.partitions), "a topic has a name and partitions")
    }
    if let listen = try? ValueType<ListenSetting>.listen.parse(text) {
        try hold(
            listen.address.utf8.allSatisfy { "0123456789abcdefABCDEF:.".utf8.contains($0) }
                && listen.address.utf8.count <= 45, "an address is numbers")
    }
    if let property = try? ValueType<PropertySetting>.property.parse(text) {
        try hold("\(property.name)=\(property.value)" == text, "a property is all of the text")
    }
    // Two places check an endpoint: the setting and its use.
    let isURL = (try? ValueType<String>.url.parse(text)) != nil
    try hold(isURL == (Endpoint(url: text) != nil), "a valid setting can be used")

    let arguments = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let settings: Settings?
    do throws(SettingsError) { settings = try resolve(arguments, file: []) } catch {
        try check(error)
        return
    }
    try check(settings)
}

private func resolve(_ arguments: [String], file: [UInt8]) throws(SettingsError) -> Settings? {
    let outcome = try Settings.resolve(arguments, environment: [:]) { _ in file }
    return if case .settings(let settings) = outcome { settings } else { nil }
}

private func check(_ settings: Settings?) throws {
    guard let settings, settings.command == .run else { return }
    // A setting with a default has a value, whatever was given. Without a value the program would trap.
    try check(settings.value(SettingTable.quota))
    try hold((1...10_000_000).contains(settings.value(SettingTable.maxOpen)), "a number keeps its range")
    try hold(settings.value(SettingTable.callTimeout) > .zero, "a duration keeps its range")
    _ = (settings.value(SettingTable.adminListen), settings.value(SettingTable.logLevel))
    for property in settings.all(SettingTable.kafkaProperty) { try hold(!property.name.isEmpty, "a property's name") }
}

private func check(_ quota: QuotaSetting) throws {
    guard let limit = quota.limit else { return }
    try hold((1...1_000_000).contains(limit.calls), "a quota allows some calls")
    try hold(limit.window > .zero && limit.window <= .seconds(86_400), "a quota's window is a day at most")
}

private func check(_ error: SettingsError) throws {
    try hold(!error.setting.isEmpty && !error.source.isEmpty && !error.rule.isEmpty, "an error has a place and a rule")
}

/// The place of an error in a file is within the file.
private func check(_ error: SettingsError, in bytes: [UInt8]) throws {
    try check(error)
    guard error.source.hasPrefix("f:") else { return }
    let place = error.source.split(separator: ":").dropFirst().compactMap { Int($0) }
    try hold(
        place.count == 2 && place.allSatisfy { $0 >= 1 && $0 <= bytes.count + 2 },
        "an error has its place in the file: \(error.source)")
}
