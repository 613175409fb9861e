package import Core
package import HSS
package import HTTP

/// The one read that a check sends to HSS. It starts nothing, and a wrong credential is refused once.
package enum HSSInspection {
    /// A list of the project's plugins; without a project or credential a read without a signature, which shows
    /// reachability and the server's clock. Returns the reply, and this machine's time in the middle of the read.
    package static func read(
        _ target: HSSClient.Target, _ credentials: Credentials?, project: String?, enterpriseProject: String?,
        _ http: HTTPClient.Configuration
    ) throws(HTTPError) -> (reply: Reply, localTime: Timestamp) {
        guard let credentials, let project else { return try readUnsigned(target.hss, http) }
        let client = try HSSClient(target, credentials: credentials, http: http)
        client.plugins(
            PluginQuery(id: 1, projectID: project, enterpriseProjectID: enterpriseProject), now: Clock.now)
        return wait(client.descriptor, deadline: { client.deadline }) { client.turn(now: Clock.now).first?.1 }
    }

    private static func readUnsigned(
        _ endpoint: Endpoint, _ http: HTTPClient.Configuration
    ) throws(HTTPError) -> (reply: Reply, localTime: Timestamp) {
        let client = try HTTPClient(http)
        client.send(HTTPRequest(method: "GET", url: endpoint.url + "/"), id: 1)
        return wait(client.descriptor, deadline: { client.deadline }) {
            client.turn(now: Clock.uptime).first.map { ReplyParser.reply($0) }
        }
    }

    /// The clients' own timeouts end the wait. The limit is for a client that would not.
    private static func wait(
        _ descriptor: Int32, deadline: () -> Uptime?, next: () -> Reply?
    ) -> (reply: Reply, localTime: Timestamp) {
        let poller = Poller()
        poller.add(descriptor, as: 1)
        var ready: [Int32] = []
        let limit = Clock.uptime + .seconds(60)
        while Clock.uptime < limit {
            if let reply = next() {
                return (reply, Clock.wall + (.zero - reply.latency / 2))
            }
            let now = Clock.uptime
            poller.wait(max(.zero, min(.seconds(1), (deadline() ?? limit) - now)), into: &ready)
        }
        var reply = Reply()
        reply.transport = .lost("no answer within 60 s")
        return (reply, Clock.wall)
    }
}
