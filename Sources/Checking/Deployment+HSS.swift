internal import Core

/// HSS: the endpoint, the clock, the credential, the plugins and the quota.
extension Deployment {
    /// The limit that HSS documents for one user (API reference, "API calling limits").
    private static let documented = RateLimit(calls: 5, window: .seconds(60))
    /// How far the date of a signature may be off at HSS.
    private static let signatureTolerance: Duration = .seconds(900)
    private static let clockTolerance: Duration = .seconds(5)

    /// `limit` is what the answer named, if it named one.
    func quota(limit: RateLimit?) -> Finding {
        let allowed = limit ?? Self.documented
        let setting = "\(allowed.calls)/\(Self.text(allowed.window))"
        let wanted = "at most \(setting)"
        guard let quota else {
            return .warning(
                .quota, "off: HSS refuses what is more than \(allowed.calls) calls in \(Self.text(allowed.window))",
                wanted: wanted, remedy: "set --quota \(setting)")
        }
        // The windows of the quota that fit into one window of the limit, each of them full.
        let windows = max(1, Int((allowed.window / quota.window).rounded(.up)))
        let (most, overflow) = quota.calls.multipliedReportingOverflow(by: windows)
        guard overflow || most > allowed.calls else {
            return .ok(.quota, "\(quota.calls)/\(Self.text(quota.window))")
        }
        return .warning(
            .quota, "\(quota.calls)/\(Self.text(quota.window)) is more than HSS allows a user",
            wanted: wanted, remedy: "set --quota \(setting)")
    }

    /// As in a setting.
    private static func text(_ time: Duration) -> String {
        time.milliseconds % 1000 == 0 ? "\(time.milliseconds / 1000)s" : "\(time.milliseconds)ms"
    }

    func api(_ facts: HSSFacts) -> [Finding] {
        var findings: [Finding] = []
        if let error = facts.credentialsError {
            findings.append(
                .error(
                    .credentials, error, wanted: "an access key or a user",
                    remedy: "set HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or see docs/operations.md, Credentials"))
        }
        if let error = facts.endpointError {
            findings.append(
                .error(
                    .endpoint, error, wanted: "one endpoint",
                    remedy: "set --region, for example cn-north-4, or --endpoint"))
        }
        guard let endpoint = facts.endpoint, let reply = facts.reply else { return findings }
        findings.append(reachability(reply, endpoint))
        if let date = reply.serverDate { findings.append(clock(date - facts.localTime)) }
        if facts.credentialsError == nil, reply.transport == nil || reply.source == .iam {
            findings.append(credential(reply, facts))
        }
        if reply.isSuccess, facts.project != nil { findings += plugins(reply, facts) }
        return findings
    }

    private func reachability(_ reply: Reply, _ endpoint: String) -> Finding {
        let place = reply.source == .iam ? "IAM" : "HSS at \(endpoint)"
        switch reply.transport {
        case nil: break
        case .notSent(let text), .lost(let text), .tooLarge(let text), .tokenVoid(let text):
            return .error(
                .hss, "\(place) cannot be reached: \(text)", wanted: "an answer",
                remedy: "check --region or --endpoint, --iam-endpoint, https_proxy, no_proxy and the network")
        }
        let status = reply.httpStatus ?? 0
        guard status < 500 else {
            return .error(
                .hss, "\(place) answers HTTP \(status): \(reply.errorMessage ?? "")", wanted: "an answer below 500",
                remedy: "wait, and run check again; the worker retries by itself")
        }
        return .ok(.hss, "\(place) answers")
    }

    private func clock(_ ahead: Duration) -> Finding {
        let off = max(ahead, .zero - ahead)
        let found =
            "this machine's clock is \(off.milliseconds / 1000) s \(ahead > .zero ? "behind" : "ahead of") the server's"
        if off >= Self.signatureTolerance {
            return .error(
                .clock, "\(found), and every signature is refused", wanted: "less than 5 s", remedy: "set it with NTP")
        }
        guard off > Self.clockTolerance else {
            return .ok(.clock, "within \(off.milliseconds / 1000 + 1) s of the server's")
        }
        return .warning(.clock, found, wanted: "less than 5 s", remedy: "set it with NTP")
    }

    private func credential(_ reply: Reply, _ facts: HSSFacts) -> Finding {
        guard let project = facts.project else {
            return .warning(
                .credentials, "not checked, because there is no project to ask for", wanted: "an accepted read",
                remedy: "give --project-id")
        }
        guard let failure = Failure(reply) else { return .ok(.credentials, "accepted for project \(project)") }
        let answer = "\(failure.code): \(failure.detail ?? failure.title)"
        switch failure.category {
        case .auth:
            let isClockWrong = reply.serverDate.map { date in
                max(date - facts.localTime, facts.localTime - date) >= Self.signatureTolerance
            }
            return .error(
                .credentials, "refused with \(answer)", wanted: "an accepted read",
                remedy: isClockWrong ?? false
                    ? "set the clock first"
                    : "check key, secret and region. Do not repeat check at once: six refusals "
                        + "in a row lock a key for five minutes")
        case .throttled:
            return .warning(
                .credentials, "not checked: HSS throttles (\(answer))", wanted: "an accepted read",
                remedy: "run check again in a minute")
        case .transient:
            return .warning(
                .credentials, "not checked: \(answer)", wanted: "an accepted read", remedy: "run check again")
        default:
            return .error(
                .credentials, "the list of plugins of project \(project) is refused with \(answer)",
                wanted: "an accepted read",
                remedy: "check --project-id and --region, and that the user may use HSS in this project")
        }
    }

    private func plugins(_ reply: Reply, _ facts: HSSFacts) -> [Finding] {
        let known = Dictionary(reply.plugins.map { ($0.code, $0) }) { first, _ in first }
        let project = facts.project ?? ""
        guard !facts.pluginCodes.isEmpty else {
            return [
                .ok(
                    .plugins,
                    "project \(project) lists \(known.keys.sorted().joined(separator: ", ")); "
                        + "none is named by --plugin-code or the policy")
            ]
        }
        return facts.pluginCodes.sorted().map { code in
            switch known[code]?.display {
            case nil where reply.totalPlugins > reply.plugins.count:
                return .warning(
                    .plugins, "\(code) is not on the first page of the plugins of project \(project)",
                    wanted: "its code",
                    remedy: "look for it in the HSS console")
            case nil:
                return .error(
                    .plugins, "project \(project) does not list the plugin \(code)",
                    wanted: "one of \(known.keys.sorted().joined(separator: ", "))",
                    remedy: "correct the code in --plugin-code or in the policy file")
            case .noOperation:
                return .error(
                    .plugins, "HSS allows no operation on \(code)", wanted: "a plugin that may be started",
                    remedy: "remove it from the policy file")
            case .allOperations, .noInstallation: return .ok(.plugins, "\(code) is listed")
            }
        }
    }
}
