import Testing

@testable import Core
@testable import HSS
@testable import HTTP

@Suite struct RedactorTests {
    @Test(arguments: [
        "canary-1/+=%", "canary-1%2F%2B%3D%25", #"canary \"quoted\" \\ text"#, "canary \"quoted\" \\ text",
    ]) func `a secret is replaced as it is, percent-encoded and JSON-escaped`(_ form: String) {
        var redactor = Redactor()
        redactor.add("canary-1/+=%")
        redactor.add("canary \"quoted\" \\ text")
        #expect(redactor.clean("before \(form)\(form) after") == "before ****** after")
        #expect(redactor.clean("canary") == "canary")
    }

    @Test func `a secret that contains another is replaced as a whole`() {
        var redactor = Redactor()
        redactor.add("long-secret-tail")
        redactor.add("long-secret")
        #expect(redactor.clean("x long-secret-tail y") == "x *** y")
    }

    @Test func `a text of three letters is too short to be redacted as a secret`() {
        var redactor = Redactor()
        redactor.add("HSS")
        #expect(redactor.clean("HSS.0011") == "HSS.0011")
    }

    @Test func `no part of a secret remains where a text is cut`() {
        var redactor = Redactor()
        redactor.add("canary" + String(repeating: "x", count: 500))
        var completion = HTTPCompletion(id: 1)
        completion.status = 400
        for offset in [0, 900, 1020, 4090] {
            let body = String(repeating: ".", count: offset) + "canary" + String(repeating: "x", count: 500)
            completion.body = Array(body.utf8)
            completion.headers = [("x-request-id", String(repeating: ".", count: 200) + body.dropFirst(offset))]
            let reply = ReplyParser.reply(completion, redactor: redactor)
            #expect(!(reply.errorMessage ?? "").contains("c"), "\(offset)")
            #expect(!(reply.requestID ?? "").contains("c"))
            completion.body =
                JSON.object([.init("error_msg", .string(body)), .init("error_code", .string(body))]).bytes
            let parsed = ReplyParser.reply(completion, redactor: redactor)
            #expect(!"\(parsed)".contains("canary"))
        }
    }
}
