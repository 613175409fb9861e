import Testing

@testable import Core

@Suite struct RemedyTests {
    @Test func `every category has a remedy of its own`() {
        let remedies = Failure.Category.allCases.map(\.remedy)
        #expect(Set(remedies).count == remedies.count)
        #expect(remedies.allSatisfy { $0.hasSuffix(".") })
    }

    /// The same key where it is free after that result (the contract's "Dedupe"), a new key where it is not.
    @Test(
        arguments: [
            (Status.failed, true, nil, "with the same key."), (.failed, false, nil, "with a new key."),
            (.rejected, false, nil, "with the same key."), (.expired, false, nil, "with the same key."),
            (.partiallySucceeded, false, nil, "with a new key, for the failed hosts."),
            (.conflict, false, .succeeded, "Use a new key."), (.duplicate, false, .failed, "with a new key."),
            (.duplicate, true, .failed, "with the same key."),
            (.duplicate, false, .partiallySucceeded, "with a new key, for the failed hosts."),
        ] as [(Status, Bool, Status?, String)])
    func `a remedy names the key to send again with`(
        _ status: Status, _ isRetryable: Bool, _ original: Status?, _ ending: String
    ) {
        let text = Remedy.text(status, category: .host, isRetryable: isRetryable, original: original)
        #expect(text?.hasSuffix(ending) ?? false, "\(text ?? "")")
    }

    @Test func `a success needs none`() {
        #expect(Remedy.text(.succeeded, category: nil, isRetryable: false) == nil)
        #expect(Remedy.text(.duplicate, category: nil, isRetryable: false, original: .succeeded) == nil)
    }
}
