package import Core

/// What the shell found out about a deployment, for `Deployment.findings`.
package struct Facts: Sendable {
    package enum PolicyFile: Equatable, Sendable {
        case none
        case loaded(String)
        /// With the reason.
        case broken(String)
    }

    package enum Brokers: Equatable, Sendable {
        case answered([String])
        case failed(ConnectionFailure)
    }

    package var openFiles: (needed: Int, allowed: Int)
    package var policy = PolicyFile.none
    package var brokers: Brokers
    /// Nil if no broker answered.
    package var cluster: ClusterFacts?
    package var hss: HSSFacts

    package init(openFiles: (needed: Int, allowed: Int), brokers: Brokers, hss: HSSFacts) {
        self.openFiles = openFiles
        self.brokers = brokers
        self.hss = hss
    }
}

/// An answer to a question that may be refused or fail.
package enum Answer<Value: Sendable>: Sendable {
    case known(Value)
    /// The right to ask is missing.
    case denied
    /// With the reason.
    case unknown(String)

    package var value: Value? {
        if case .known(let value) = self { value } else { nil }
    }
}

/// Why no broker could be used.
package struct ConnectionFailure: Equatable, Sendable {
    package enum Cause: Equatable, Sendable {
        /// A property is unknown, has a wrong value, or must not be set.
        case configuration
        case notPermitted
        /// TLS failed.
        case insecure
        /// TLS failed, and works if the name in the certificate is not compared.
        case hostName
        case unreachable
    }

    package var cause: Cause
    package var text: String
    /// What the listener may require.
    package var hint: String

    package init(_ cause: Cause, _ text: String, hint: String = "") {
        self.cause = cause
        self.text = text
        self.hint = hint
    }
}

/// What the cluster answered.
package struct ClusterFacts: Sendable {
    package var requests: TopicFacts
    package var results: TopicFacts
    package var mayReadGroup: Answer<Bool> = .unknown("not asked")
    package var group: Answer<GroupFacts> = .unknown("not asked")
    /// Whether a record of a topic is dated later than this machine's clock.
    package var hasFutureRecords: Answer<Bool> = .unknown("not asked")

    package init(requests: TopicFacts, results: TopicFacts) {
        self.requests = requests
        self.results = results
    }
}

package struct TopicFacts: Sendable {
    package enum State: Equatable, Sendable {
        case there(TopicLayout)
        case missing
        /// The right to DESCRIBE is missing, so the broker does not tell whether the topic exists.
        case hidden
        /// With the reason.
        case unknown(String)

        package var layout: TopicLayout? {
            if case .there(let layout) = self { layout } else { nil }
        }
    }

    package var state: State
    /// The effective settings, in which the broker's are included.
    package var settings: Answer<[String: String]> = .unknown("not asked")
    package var mayRead: Answer<Bool> = .unknown("not asked")
    package var mayWrite: Answer<Bool> = .unknown("not asked")

    package init(_ state: State) { self.state = state }
}

package struct TopicLayout: Equatable, Sendable {
    package var partitions: Int
    /// The replicas of the partition that has the fewest.
    package var replicas: Int
    /// The replicas in sync of the partition that has the fewest.
    package var inSync: Int
    package var leaderless: Int

    package init(partitions: Int, replicas: Int = 1, inSync: Int = 1, leaderless: Int = 0) {
        self.partitions = partitions
        self.replicas = replicas
        self.inSync = inSync
        self.leaderless = leaderless
    }
}

/// Who is in the consumer group.
package struct GroupFacts: Sendable {
    /// How the members share the partitions; empty without members.
    package var strategy: String
    /// The members, each as its client id and its host.
    package var members: [(client: String, host: String)]
    /// The metadata of the offset that was committed for partition 0.
    package var metadata: String?

    package init(strategy: String, members: [(client: String, host: String)], metadata: String? = nil) {
        self.strategy = strategy
        self.members = members
        self.metadata = metadata
    }
}

/// What HSS answered to the one read of a check.
package struct HSSFacts: Sendable {
    /// Nil if the settings name no usable endpoint.
    package var endpoint: String?
    /// Why the settings name no usable endpoint.
    package var endpointError: String?
    /// Why the environment holds no usable credential.
    package var credentialsError: String?
    /// The project whose plugins were listed. Nil if the read was sent without a credential, because there is no
    /// project.
    package var project: String?
    package var reply: Reply?
    /// This machine's time in the middle of the read.
    package var localTime: Timestamp
    /// The plugin codes that requests may name.
    package var pluginCodes: [String] = []

    package init(localTime: Timestamp) { self.localTime = localTime }
}
