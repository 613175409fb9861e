internal import Core
internal import HTTP
internal import Kafka
internal import Sandbox
internal import Settings
internal import Worker

/// `sandbox`: serves until a signal comes.
nonisolated enum SandboxCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        var configuration = Sandbox.Configuration()
        let listen = settings.value(SettingTable.listen)
        (configuration.address, configuration.port) = (listen.address, listen.port)
        configuration.quota = settings.value(SettingTable.quota).limit
        configuration.accessKey = settings.value(SettingTable.accessKey)
        configuration.secretKey = Secret(settings.value(SettingTable.secretKey))
        configuration.user = settings.value(SettingTable.user)
        configuration.password = Secret(settings.value(SettingTable.password))
        configuration.domain = settings.value(SettingTable.domain)
        configuration.startDelay = settings.value(SettingTable.startDelay)
        configuration.latency = settings.value(SettingTable.latency)
        configuration.maximumClockSkew = settings.value(SettingTable.maxClockSkew)
        configuration.seed = UInt64(settings.value(SettingTable.seed))
        for text in settings.all(SettingTable.fault) {
            do throws(Fault.ParseError) { configuration.faults.append(try Fault(parsing: text)) } catch {
                throw CommandFailure(64, "fault: \(error)")
            }
        }
        configuration.hosts = try settings.knownHosts()
        do throws(HTTPError) {
            let offset = settings.value(SettingTable.clockOffset)
            let sandbox = try Sandbox(configuration) { Sandbox.wallClock() + offset }
            Console.print(sandbox.baseURL)
            _ = Signals.wait()
            sandbox.stop()
            return 0
        } catch {
            throw CommandFailure(69, "listen: \(error)")
        }
    }
}

extension Settings {
    /// The host ids of `--hosts`, one per line; nil means that any host is known.
    nonisolated func knownHosts() throws(CommandFailure) -> Set<String>? {
        guard let path = self[SettingTable.hosts] else { return nil }
        guard let bytes = File.read(path) else { throw CommandFailure(64, "hosts: \(path) cannot be read") }
        return Set(String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init))
    }
}

/// `broker`: serves until a signal comes.
nonisolated enum BrokerCommand {
    static func run(_ settings: Settings) throws(CommandFailure) -> Int32 {
        let topics = settings.all(SettingTable.topic)
        let broker: MockBroker
        do throws(KafkaError) {
            broker = try MockBroker(
                topics: topics.isEmpty
                    ? [("plugin.start.requests", 12), ("plugin.start.results", 12)]
                    : topics.map { ($0.name, $0.partitions) })
        } catch {
            throw CommandFailure(69, error.text)
        }
        if let path = settings[SettingTable.bootstrapFile], !File.write(path, broker.bootstrapServers + "\n") {
            throw CommandFailure(64, "bootstrap-file: \(path) cannot be written")
        }
        Console.print(broker.bootstrapServers)
        _ = Signals.wait()
        withExtendedLifetime(broker) {}
        return 0
    }
}
