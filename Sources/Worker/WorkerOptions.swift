package import Core
package import Kafka

extension Worker {
    package struct Options {
        package var kafka: ClientConfiguration
        package var requestsTopic: String
        package var resultsTopic: String
        /// Nil where no dead letters are written.
        package var deadLetterTopic: String?
        package var group: String
        package var pipeline: Pipeline.Configuration
        package var shutdownTimeout: Duration
        /// How long the group waits for a silent member.
        package var sessionTimeout: Duration
        /// Where the policy is read again from; nil where there is no file.
        package var policy: PolicySource?

        package init(
            kafka: ClientConfiguration, requestsTopic: String, resultsTopic: String, deadLetterTopic: String? = nil,
            group: String,
            pipeline: Pipeline.Configuration, shutdownTimeout: Duration, sessionTimeout: Duration,
            policy: PolicySource? = nil
        ) {
            self.kafka = kafka
            self.requestsTopic = requestsTopic
            self.resultsTopic = resultsTopic
            self.deadLetterTopic = deadLetterTopic
            self.group = group
            self.pipeline = pipeline
            self.shutdownTimeout = shutdownTimeout
            self.sessionTimeout = sessionTimeout
            self.policy = policy
            // With a quota, one worker of the group makes calls at a time.
            self.pipeline.needsLease = pipeline.quota != nil
            self.pipeline.requestsTopic = requestsTopic
        }
    }
}
