internal import Checking
internal import Core
internal import HSS
internal import HTTP
internal import Kafka
internal import Settings
internal import Worker

/// `run`: the worker.
nonisolated enum RunCommand {
    static func run(_ settings: Settings, _ environment: [String: String]) throws(CommandFailure) -> Int32 {
        let log = Log(
            level: Log.Level(rawValue: settings.value(SettingTable.logLevel)) ?? .info,
            format: Log.Format(rawValue: settings.value(SettingTable.logFormat)) ?? .text)
        try requireDescriptors(settings)
        var pipeline = try pipeline(settings)
        let hss = try client(settings, environment, instance: pipeline.callPrefix)
        pipeline.transit = hss.transit
        let deadLetterTopic = try deadLetterTopic(settings)
        if deadLetterTopic != nil {
            let statuses = settings.all(SettingTable.deadLetterStatus).compactMap(Status.init(rawValue:))
            pipeline.deadLetters = statuses.isEmpty ? [.failed, .rejected] : Set(statuses)
        }
        let options = Worker.Options(
            kafka: try settings.kafka(), requestsTopic: settings.value(SettingTable.requestsTopic),
            resultsTopic: settings.value(SettingTable.resultsTopic), deadLetterTopic: deadLetterTopic,
            group: settings.value(SettingTable.group),
            pipeline: pipeline, shutdownTimeout: settings.value(SettingTable.shutdownTimeout),
            sessionTimeout: settings[SettingTable.sessionTimeout]
                ?? (pipeline.quota == nil ? .seconds(45) : .seconds(10)),
            policy: policySource(settings))
        do throws(WorkerFailure) {
            let worker = try Worker(options, hss: hss, log: log)
            let admin = try adminEndpoint(settings, worker.router, log)
            defer { admin?.stop() }
            let code = try worker.run()
            // Everything is logged and the worker has left the group. Closing the clients could wait long for an absent
            // broker.
            ProcessControl.exitAtOnce(code)
        } catch {
            throw CommandFailure(error.exitCode, error.message)
        }
    }

    private static func deadLetterTopic(_ settings: Settings) throws(CommandFailure) -> String? {
        guard let topic = settings[SettingTable.deadLetterTopic] else {
            guard settings.all(SettingTable.deadLetterStatus).isEmpty else {
                throw CommandFailure(64, "dead-letter-status: needs --dead-letter-topic")
            }
            return nil
        }
        for other in [SettingTable.requestsTopic, SettingTable.resultsTopic] where settings.value(other) == topic {
            throw CommandFailure(64, "dead-letter-topic: \(topic) is also the --\(other.row.name)")
        }
        return topic
    }

    /// Raises the limit of open files as far as allowed. Returns how many are needed, and how many are allowed now.
    static func descriptors(_ settings: Settings) -> (needed: Int, allowed: Int) {
        (64 + settings.value(SettingTable.concurrency), ProcessControl.raiseDescriptorLimit())
    }

    /// Requires enough open files. With too few, nothing works and no message explains why.
    private static func requireDescriptors(_ settings: Settings) throws(CommandFailure) {
        let (needed, allowed) = descriptors(settings)
        let finding = Deployment.openFiles(needed, allowed)
        if finding.level == .error { throw CommandFailure(finding.exitCode, finding.sentence) }
    }

    private static func adminEndpoint(_ settings: Settings, _ router: AdminRouter, _ log: Log) throws(WorkerFailure)
        -> HTTPServer?
    {
        guard let listen = settings.value(SettingTable.adminListen).listen else { return nil }
        var limits = HTTPServer.Limits()
        limits.connections = 64
        limits.keptConnections = 48
        limits.idleSeconds = 5
        limits.maximumBodyBytes = 1024
        do throws(HTTPError) {
            let server = try HTTPServer(address: listen.address, port: listen.port, limits: limits) { request in
                if let key = router.keyToExplain(method: request.method, target: request.target) {
                    router.beginExplanation()
                    return .respondWith({ explanation(key, router) }, after: AdminRouter.explanationDelay)
                }
                let answer = router.answer(
                    method: request.method, path: request.path, accept: request.header("accept"), uptime: Clock.uptime)
                return .respond(
                    ServerResponse(
                        status: answer.status, headers: [("Content-Type", answer.type)], body: Array(answer.body.utf8)))
            }
            var log = log
            if settings.logsJSON {
                log.write(.info, "admin endpoint", [(.url, .string(server.url))])
            } else {
                Console.error("admin endpoint at \(server.url)")
            }
            if !listen.isLoopback {
                log.write(
                    .warning, "the admin endpoint has no authentication, and other machines can reach it",
                    [(.address, .string(listen.address))])
            }
            log.flush()
            return server
        } catch {
            throw WorkerFailure(64, "admin-listen: \(error)")
        }
    }

    private static func explanation(_ key: String, _ router: AdminRouter) -> ServerResponse {
        let json = router.explanation(ofKey: key)
        return ServerResponse(
            status: json == nil ? 503 : 200,
            headers: [("Content-Type", json == nil ? "text/plain; charset=utf-8" : "application/json")],
            body: json.map { $0.bytes + [UInt8(ascii: "\n")] } ?? Array("the main loop did not answer\n".utf8))
    }

    /// `instance`: the prefix of this process's call ids, so that HSS can tell the workers apart.
    private static func client(
        _ settings: Settings, _ environment: [String: String], instance: String
    ) throws(CommandFailure) -> HSSClient {
        let credentials: Credentials
        do throws(CredentialsError) { credentials = try Credentials(environment: environment) } catch {
            throw CommandFailure(64, "credentials: \(error)")
        }
        let target = try self.target(settings, credentials.identity)
        var http = HTTPClient.Configuration()
        http.maximumConnections = settings.value(SettingTable.concurrency)
        http.connectTimeout = settings.value(SettingTable.connectTimeout)
        http.totalTimeout = settings.value(SettingTable.callTimeout)
        http.userAgent = "plugin-starter/\(instance)"
        do throws(HTTPError) { return try HSSClient(target, credentials: credentials, http: http) } catch {
            throw CommandFailure(70, error.description)
        }
    }

    /// `identity` decides whether IAM is needed.
    static func target(
        _ settings: Settings, _ identity: Credentials.Identity?
    ) throws(CommandFailure) -> HSSClient.Target {
        let target = try endpoints(settings)
        if case .user = identity, target.iam == nil {
            throw CommandFailure(64, "iam-endpoint: is required for a user's token if --endpoint is given")
        }
        return target
    }

    private static func endpoints(_ settings: Settings) throws(CommandFailure) -> HSSClient.Target {
        let region = settings[SettingTable.region]
        let address = settings[SettingTable.endpoint]
        guard (region == nil) != (address == nil) else {
            throw CommandFailure(
                64,
                region == nil ? "region: give --region, or --endpoint" : "region: give --region or --endpoint, not both"
            )
        }
        for setting in [SettingTable.endpoint, SettingTable.iamEndpoint] {
            guard let url = settings[setting], Endpoint(url: url)?.isExposed ?? false,
                !settings.value(SettingTable.allowPlainHTTP)
            else { continue }
            throw CommandFailure(
                64, "\(setting.row.name): \(url) must be https://, or give --allow-plain-http")
        }
        let iam = settings[SettingTable.iamEndpoint].flatMap(Endpoint.init(url:))
        if let region {
            guard let hss = Endpoint.hss(region: region) else {
                throw CommandFailure(64, "region: \"\(region)\" is not a region name such as cn-north-4")
            }
            if !Endpoint.regions.contains(region) {
                Console.complain("region \(region) is unknown; using \(hss.url)", json: settings.logsJSON)
            }
            return .init(
                hss: hss, iam: iam ?? Endpoint.iam(region: region),
                projectName: settings[SettingTable.projectName] ?? region)
        }
        guard let hss = address.flatMap(Endpoint.init(url:)) else {
            throw CommandFailure(64, "endpoint: \"\(address ?? "")\" is not a base URL")
        }
        return .init(hss: hss, iam: iam, projectName: settings[SettingTable.projectName])
    }

    private static func policySource(_ settings: Settings) -> PolicySource? {
        settings[SettingTable.policy].map { path in
            PolicySource(path: path) { bytes in
                do throws(SettingsError) { return .success(try PolicyFile.load(bytes, file: path)) } catch {
                    return .failure(PolicyError(error.description))
                }
            }
        }
    }

    /// The core's configuration from the settings; `plan` uses the same.
    static func pipeline(_ settings: Settings) throws(CommandFailure) -> Pipeline.Configuration {
        var configuration = Pipeline.Configuration(quota: settings.value(SettingTable.quota).limit)
        configuration.hostsPerCall = settings.value(SettingTable.hostsPerCall)
        configuration.pacing = settings.value(SettingTable.pacing)
        configuration.concurrency = settings.value(SettingTable.concurrency)
        configuration.retryFor = settings.value(SettingTable.retryFor)
        configuration.quarantine = settings.value(SettingTable.quarantine)
        configuration.dedupeWindow = settings.value(SettingTable.dedupeWindow)
        configuration.maximumOpen = settings.value(SettingTable.maxOpen)
        configuration.maximumOpenBytes = settings.value(SettingTable.maxOpenBytes)
        configuration.maximumRequestBytes = settings.value(SettingTable.maxRequestBytes)
        configuration.keepsKeyOrder = settings.value(SettingTable.ordering) == "key"
        if let path = settings[SettingTable.policy] { configuration.policy = try policy(path) }
        // The prefix differs between processes, so that a call's id in a result always names one call.
        configuration.callPrefix = String(UInt64.random(in: 0...(.max)), radix: 36)
        configuration.seed = UInt64.random(in: 0...(.max))
        return configuration
    }

    static func policy(_ path: String) throws(CommandFailure) -> Policy {
        guard let bytes = File.read(path) else { throw CommandFailure(64, "policy: \(path) cannot be read") }
        do throws(SettingsError) { return try PolicyFile.load(bytes, file: path) } catch {
            throw CommandFailure(64, error.description)
        }
    }
}
