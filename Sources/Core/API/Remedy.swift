/// What the sender of a request can do about a result that is not a success.
package enum Remedy {
    /// One or two sentences; nil for a success. `category` is that of the result's error, or of its first failed host.
    package static func text(
        _ status: Status, category: Failure.Category?, isRetryable: Bool, original: Status? = nil
    ) -> String? {
        switch status {
        case .succeeded: return nil
        case .conflict: return "The key belongs to a request for another action. Use a new key."
        case .duplicate where original == .succeeded: return nil
        case .partiallySucceeded, .failed, .rejected, .duplicate, .expired: break
        }
        let again =
            switch (status, original) {
            case (.partiallySucceeded, _), (.duplicate, .partiallySucceeded): "with a new key, for the failed hosts"
            case (.failed, _) where !isRetryable, (.duplicate, _) where !isRetryable: "with a new key"
            default: "with the same key"
            }
        return "\((category ?? .unknown).remedy) Then send it again \(again)."
    }
}

extension Failure.Category {
    /// What removes the cause, for a person who did not write the worker.
    package var remedy: String {
        switch self {
        case .invalid: "Correct the field that the error names."
        case .policy: "Ask for less, or let the worker's operator allow it in the policy file."
        case .expired: "Give it a later expires_at, or a higher priority."
        case .throttled: "HSS takes no more calls at the moment. Wait some minutes."
        case .transient: "HSS or the host's agent was not available. Wait some minutes."
        case .auth: "Let the worker's operator check its credential and its clock."
        case .host: "Check the host's id, its agent and its protection quota in the HSS console."
        case .request: "Check the project, the plugin and the permissions of the worker's user."
        case .unknown: "Look the code up in the error codes of the HSS API reference."
        }
    }
}
