internal import Core
internal import Planning
internal import Redriving
internal import Settings
internal import Worker

/// What the worker would do with the requests, if it had no others.
nonisolated struct RedrivePlan {
    let calls: Int
    let time: Duration
    let longestWait: Duration

    init(_ records: [RedrivenRecord], _ settings: Settings) throws(CommandFailure) {
        var configuration = Pipeline.Configuration(quota: settings.value(SettingTable.quota).limit)
        configuration.hostsPerCall = settings.value(SettingTable.hostsPerCall)
        configuration.pacing = settings.value(SettingTable.pacing)
        configuration.callPrefix = "plan"
        let now = Clock.now
        let rate = Int64(settings.value(SettingTable.rate))
        let arriving = records.enumerated().map { index, record in
            Record(
                position: Position(partition: 0, offset: Int64(index)),
                timestamp: now.wall + .milliseconds(Int64(index) * 1000 / rate), key: record.key, value: record.value,
                headers: record.headers)
        }
        let plan = Plan(arriving, configuration, hosts: nil, now: now, atOnce: false)
        (calls, time, longestWait) = (plan.calls.count, plan.ends, plan.overall?.worst ?? .zero)
    }
}
