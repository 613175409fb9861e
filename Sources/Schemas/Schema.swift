/// The documents of `schemas/`, as they were when the program was built.
package enum Schema: String, CaseIterable, Sendable {
    case request, result, asyncapi, policy

    /// The name of the document's file in `schemas/`. The AsyncAPI document refers to the other two by these names.
    package var file: String {
        switch self {
        case .request: "start-request.schema.json"
        case .result: "start-result.schema.json"
        case .asyncapi: "asyncapi.json"
        case .policy: "policy.schema.json"
        }
    }

    package var text: String {
        switch self {
        case .request: Self.requestText
        case .result: Self.resultText
        case .asyncapi: Self.asyncapiText
        case .policy: Self.policyText
        }
    }
}
