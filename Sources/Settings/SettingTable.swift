internal import Core

/// Every setting. Flags, environment variables, YAML keys, defaults, help and docs/settings.md are made from this
/// table.
package enum SettingTable {
    private static let kafka: [Command] = [.run, .request, .results, .explain, .redrive, .audit, .plan, .check]

    package static let bootstrapServers = Setting(
        "bootstrap-servers", .text, default: "127.0.0.1:9092", kafka,
        "bootstrap brokers, HOST:PORT, comma-separated")
    package static let requestsTopic = Setting(
        "requests-topic", .text, default: "plugin.start.requests", kafka, "topic of the requests")
    package static let resultsTopic = Setting(
        "results-topic", .text, default: "plugin.start.results",
        [.run, .request, .results, .explain, .redrive, .audit, .check],
        "topic of the results, with at least as many partitions as the requests topic")
    package static let deadLetterTopic = Setting(
        "dead-letter-topic", .text, [.run, .explain, .redrive],
        "topic that the records of failed and rejected requests are also written to; redrive: send its records again, "
            + "in place of those of the results; default: none")
    package static let deadLetterStatus = Setting(
        "dead-letter-status", .choice(["failed", "rejected", "partially_succeeded", "conflict"]), [.run],
        repeatable: true, "status whose requests go to the dead-letter topic; default: failed and rejected")
    package static let group = Setting(
        "group", .text, default: "plugin-starter", [.run, .explain, .check], "consumer group")
    package static let kafkaProperty = Setting(
        "kafka-property", .property, kafka, repeatable: true, secret: true,
        "a librdkafka property, such as security.protocol=SASL_SSL; properties that delivery depends on are refused; "
            + "put a password into --config or the environment (one property per line), because ps shows flags")
    package static let logLevel = Setting(
        "log-level", .choice(["debug", "info", "warning", "error"]), default: "info", [.run, .demo],
        "lowest level that is logged")
    package static let logFormat = Setting(
        "log-format", .choice(["text", "json"]), default: "text", [.run], "format of the log on standard error")
    package static let config = Setting(
        "config", .file, Command.allCases, "YAML file with settings as keys; flags and environment override it")

    package static let region = Setting(
        "region", .text, [.run, .check], "HSS's region, such as cn-north-4; either this or --endpoint is required")
    package static let endpoint = Setting("endpoint", .url, [.run, .check], "HSS's address, in place of --region")
    package static let iamEndpoint = Setting(
        "iam-endpoint", .url, [.run, .check], "IAM's address, for a user's token; default: the region's")
    package static let allowPlainHTTP = Setting(
        "allow-plain-http", .flag, default: "false", [.run, .check],
        "allow an endpoint with http:// on another machine, where calls and passwords can be read on their way")
    package static let projectName = Setting(
        "project-name", .text, [.run, .check], "project that a user's token is for; default: the region")
    package static let concurrency = Setting(
        "concurrency", .whole(1...4096), default: "16", [.run, .plan, .check],
        "maximum calls in flight; with a quota there are never more than three, so that a bad credential shows early")
    package static let quota = Setting(
        "quota", .quota, default: "5/60s", [.run, .demo, .sandbox, .redrive, .plan, .check], overrides: [.demo: "5/2s"],
        "calls of one API that a user may make in any window of that length")
    package static let hostsPerCall = Setting(
        "hosts-per-call", .whole(1...10_000), default: "100", [.run, .demo, .redrive, .plan],
        "maximum hosts in one call")
    package static let pacing = Setting(
        "pacing", .factor(0...4), default: "1", [.run, .demo, .redrive, .plan],
        "how long a call may wait for more hosts while quota is left: 0 is not at all; more helps storms, less helps "
            + "single requests")
    package static let dedupeWindow = Setting(
        "dedupe-window", .duration(.seconds(1)...(.seconds(31 * 86_400))), default: "24h",
        [.run, .audit, .plan, .check],
        "how long a key is remembered after its result")
    package static let retryFor = Setting(
        "retry-for", .duration(.zero...(.seconds(7 * 86_400))), default: "15m", [.run, .plan, .check],
        "how long a request is retried, from its first temporary failure; earlier waiting does not count")
    package static let quarantine = Setting(
        "quarantine", .duration(.zero...(.seconds(86_400))), default: "10m", [.run, .plan],
        "how long a faulty host is called separately from other hosts")
    package static let callTimeout = Setting(
        "call-timeout", .duration(.milliseconds(10)...(.seconds(600))), default: "30s", [.run],
        "longest time for one call, from connecting to the last byte")
    package static let connectTimeout = Setting(
        "connect-timeout", .duration(.milliseconds(10)...(.seconds(300))), default: "5s", [.run, .check],
        "longest time to connect to HSS")
    package static let maxOpen = Setting(
        "max-open", .whole(1...1_000_000), default: "10000", [.run, .plan],
        "maximum requests held without an acknowledged result")
    package static let maxOpenBytes = Setting(
        "max-open-bytes", .size(1024...(8 << 30)), default: "64MiB", [.run, .plan], "maximum bytes of the records held")
    package static let maxRequestBytes = Setting(
        "max-request-bytes", .size(256...(16 << 20)), default: "256KiB", [.run, .plan, .check],
        "a longer request is rejected")
    package static let shutdownTimeout = Setting(
        "shutdown-timeout", .duration(.zero...(.seconds(3600))), default: "25s", [.run],
        "time for calls in flight to finish after SIGTERM or SIGINT")
    package static let sessionTimeout = Setting(
        "session-timeout", .duration(.seconds(1)...(.seconds(1800))), [.run],
        "how soon the group replaces a silent worker; a short timeout may also replace a worker on a slow network; "
            + "default: 10s with a quota, 45s without")
    package static let adminListen = Setting(
        "admin-listen", .listenOrOff, default: "127.0.0.1:8080", [.run], "where /livez, /readyz and /metrics are served"
    )
    package static let admin = Setting(
        "admin", .url, [.explain], repeatable: true,
        "admin endpoint of a worker to ask what comes next, such as http://127.0.0.1:8080")
    package static let policy = Setting(
        "policy", .file, [.run, .plan, .check],
        "YAML file with what requests may ask for, and when calls may go; run reads it again on SIGHUP and when it changes"
    )
    package static let ordering = Setting(
        "ordering", .choice(["none", "key"]), default: "none", [.run, .plan],
        "key: requests with the same Kafka key are called in order")

    package static let requests = Setting(
        "requests", .whole(20...2000), default: "300", [.demo], "requests that the demo publishes")
    package static let seed = Setting(
        "seed", .whole(0...Int(Int32.max)), default: "1", [.demo, .sandbox, .plan], "random seed")

    package static let projectID = Setting(
        "project-id", .text, [.request, .results, .redrive, .check],
        "project_id of the request; results, redrive: only those of this project; check: whose plugins are listed")
    package static let enterpriseProjectID = Setting(
        "enterprise-project-id", .text, [.request, .check], "enterprise_project_id; default: not sent")
    package static let pluginCode = Setting(
        "plugin-code", .text, [.request, .results, .redrive, .check],
        "plugin_code of the request, such as ndr; results, redrive: only those of this plugin; check: the project must "
            + "list it")
    package static let host = Setting(
        "host", .text, [.request, .results, .redrive], repeatable: true,
        "a host id of the request; results, redrive: only those of requests that name one of these hosts")
    package static let operateAll = Setting(
        "operate-all", .flag, default: "false", [.request], "all hosts of the project, in place of --host")
    package static let idempotencyKey = Setting(
        "idempotency-key", .text, [.request], "key that makes repeats harmless; default: random")
    package static let expiresAt = Setting("expires-at", .text, [.request], "RFC 3339 time after which no call is made")
    package static let expiresIn = Setting(
        "expires-in", .duration(.milliseconds(1)...(.seconds(31 * 86_400))), [.request],
        "time from now after which no call is made")
    package static let priority = Setting(
        "priority", .choice(["critical", "normal", "bulk"]), [.request, .redrive],
        "which waiting requests get the next call; default: normal, redrive: bulk")
    package static let correlationID = Setting("correlation-id", .text, [.request], "copied to the result")
    package static let requestedBy = Setting("requested-by", .text, [.request], "copied to the result")
    package static let reason = Setting("reason", .text, [.request], "copied to the result")
    package static let wait = Setting(
        "wait", .duration(.milliseconds(1)...(.seconds(86_400))), [.request], bare: "60s",
        "how long to wait for the results after the last request is sent; exit 0 if all succeeded, 1 with the errors if "
            + "not, 75 if one is missing")
    package static let file = Setting(
        "file", .file, [.request], "the same as the argument FILE: requests as JSON objects, one per line")
    package static let json = Setting(
        "json", .flag, default: "false", [.request, .results, .explain, .redrive, .audit, .errors, .plan, .check],
        "one JSON object per line")

    package static let follow = Setting(
        "follow", .flag, default: "false", [.results], "keep printing new results as they arrive")
    package static let key = Setting(
        "key", .text, [.results, .redrive], "only results of this idempotency key")
    package static let status = Setting(
        "status",
        .choice(["succeeded", "partially_succeeded", "failed", "rejected", "duplicate", "conflict", "expired"]),
        [.results, .redrive], repeatable: true,
        "only results with this status; redrive: one that is no success, default: failed")
    package static let code = Setting(
        "code", .text, [.results, .redrive], repeatable: true,
        "only results with this error code, of the request or of one of its hosts, such as HSS.1001")
    package static let category = Setting(
        "category", .choice(Failure.Category.allCases.map(\.rawValue)), [.results, .redrive], repeatable: true,
        "only results whose error has this category")
    package static let until = Setting(
        "until", .duration(.milliseconds(1)...(.seconds(3660 * 86_400))), [.results, .redrive],
        "only records older than this")
    package static let summary = Setting(
        "summary", .flag, default: "false", [.results],
        "counts by status, error code and plugin, and over time, in place of the results")
    package static let format = Setting(
        "format", .choice(["table", "json", "ocsf"]), [.results],
        "json: as --json; ocsf: one OCSF event per line (class 7001, Remediation Activity); default: table")
    package static let atOnce = Setting(
        "at-once", .flag, default: "false", [.plan], "all requests arrive at the start, not at their times")
    package static let since = Setting(
        "since", .duration(.milliseconds(1)...(.seconds(3660 * 86_400))),
        [.results, .explain, .redrive, .audit, .plan],
        "only records newer than this; audit: applies to requests, where --state has no position yet")
    package static let limit = Setting(
        "limit", .whole(1...Int(Int32.max)), [.results, .redrive, .audit],
        "stop after this many results; redrive: send at most N, the oldest first, default: 10000; audit: show at most N violations and count the rest, default: 100"
    )
    package static let yes = Setting(
        "yes", .flag, default: "false", [.redrive], "send without asking; required where there is no terminal")
    package static let dryRun = Setting(
        "dry-run", .flag, default: "false", [.redrive], "show what would be sent, and send nothing")
    package static let rate = Setting(
        "rate", .whole(1...10_000), default: "5", [.redrive],
        "requests sent per second; a rate that the quota cannot follow makes them wait so long that they rise above "
            + "newer ones")
    package static let maxGeneration = Setting(
        "max-generation", .whole(1...1000), default: "3", [.redrive],
        "how often a request may be sent again; one that would exceed it is left out")
    package static let olderThan = Setting(
        "older-than", .duration(.zero...(.seconds(3660 * 86_400))), default: "30m", [.audit],
        "a request older than this must have a result; set it longer than --retry-for plus the time spent waiting")
    package static let allowRepeats = Setting(
        "allow-repeats", .flag, default: "false", [.audit],
        "count results published again with the same ce_id, without a violation")
    package static let state = Setting(
        "state", .file, [.audit],
        "file to resume from and to save the position in, for a later audit of the same topics")

    package static let listen = Setting(
        "listen", .listen, default: "127.0.0.1:8081", [.sandbox],
        "address that the sandbox listens on; port 0 takes a free port")
    package static let accessKey = Setting(
        "access-key", .text, default: "sandbox", [.sandbox], "access key that the sandbox accepts")
    package static let secretKey = Setting(
        "secret-key", .text, default: "sandbox-secret", [.sandbox], secret: true, "secret key of the access key")
    package static let user = Setting(
        "user", .text, default: "sandbox", [.sandbox], "user that the sandbox gives tokens to")
    package static let password = Setting(
        "password", .text, default: "sandbox-password", [.sandbox], secret: true, "the user's password")
    package static let domain = Setting("domain", .text, default: "sandbox", [.sandbox], "the user's account")
    package static let hosts = Setting(
        "hosts", .file, [.sandbox, .plan], "file with the known host ids, one per line; default: every id is known")
    package static let startDelay = Setting(
        "start-delay", .duration(.zero...(.seconds(3600))), default: "2s", [.sandbox],
        "how long a plugin takes to start")
    package static let latency = Setting(
        "latency", .duration(.zero...(.seconds(600))), default: "0s", [.sandbox], "added to every answer")
    package static let fault = Setting(
        "fault", .text, [.sandbox], repeatable: true,
        "fault to simulate: KIND[:CONDITION,...], such as 503:rate=0.1 or HSS.1006:host=web-1,count=2 or lost:every=5")
    package static let maxClockSkew = Setting(
        "max-clock-skew", .duration(.seconds(1)...(.seconds(86_400))), default: "15m", [.sandbox],
        "how far a signature's date may be off")

    package static let clockOffset = Setting(
        "clock-offset", .duration(.zero...(.seconds(86_400))), default: "0s", [.sandbox],
        "how far the sandbox's clock is ahead of this machine's")

    package static let topic = Setting(
        "topic", .topic, [.broker], repeatable: true, "a topic to create")
    package static let bootstrapFile = Setting(
        "bootstrap-file", .file, [.broker], "file that the bootstrap address is also written to")

    package static let rows: [SettingRow] = [
        bootstrapServers.row, requestsTopic.row, resultsTopic.row, deadLetterTopic.row, deadLetterStatus.row,
        group.row, kafkaProperty.row, region.row,
        endpoint.row,
        iamEndpoint.row, allowPlainHTTP.row, projectName.row, quota.row, hostsPerCall.row, pacing.row, concurrency.row,
        callTimeout.row,
        connectTimeout.row, retryFor.row, quarantine.row, dedupeWindow.row, ordering.row, maxOpen.row, maxOpenBytes.row,
        maxRequestBytes.row, shutdownTimeout.row, sessionTimeout.row, policy.row, adminListen.row, admin.row,
        logLevel.row,
        logFormat.row,
        requests.row, seed.row, projectID.row, enterpriseProjectID.row, pluginCode.row, host.row, operateAll.row,
        idempotencyKey.row, expiresAt.row, expiresIn.row, priority.row, correlationID.row, requestedBy.row, reason.row,
        wait.row, file.row, follow.row, key.row, status.row, code.row, category.row, atOnce.row, since.row, until.row,
        limit.row, yes.row, dryRun.row, rate.row, maxGeneration.row, summary.row, format.row, olderThan.row,
        allowRepeats.row, state.row, json.row, listen.row, accessKey.row,
        secretKey.row, user.row, password.row, domain.row, hosts.row, startDelay.row, latency.row, fault.row,
        maxClockSkew.row, clockOffset.row, topic.row, bootstrapFile.row, config.row,
    ]
}
