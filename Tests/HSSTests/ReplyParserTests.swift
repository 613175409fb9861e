import Testing

@testable import Core
@testable import HSS
@testable import HTTP

@Suite struct ReplyParserTests {
    static func reply(_ status: Int, _ body: String, headers: [(name: String, value: String)] = []) -> Reply {
        var completion = HTTPCompletion(id: 1)
        completion.status = status
        completion.body = Array(body.utf8)
        completion.headers = headers
        return ReplyParser.reply(completion)
    }

    @Test(arguments: [
        #"{"error_code":"HSS.1001","error_msg":"no agent","request_id":"r"}"#,
        #"{"errorCode":"HSS.1001","errorMsg":"no agent","request_id":"r"}"#,
        #"{"code":"HSS.1001","message":"no agent","request_id":"r"}"#,
        #"{"error":{"code":"HSS.1001","message":"no agent"},"request_id":"r"}"#,
        #"{"error_code":"HSS.1001","error_msg":"no agent","request_id":"r","encoded_authorization_message":"x"}"#,
    ]) func `code, text and request id are found in every shape`(_ body: String) {
        let reply = Self.reply(400, body)
        #expect(reply.errorCode == "HSS.1001")
        #expect(reply.errorMessage == "no agent")
        #expect(reply.requestID == "r")
    }

    @Test func `a page instead of JSON becomes the text, cut and without control characters`() {
        let reply = Self.reply(502, "<html>\n\u{1b}[31m" + String(repeating: "é", count: 2000))
        #expect(reply.errorCode == nil)
        let text = reply.errorMessage ?? ""
        #expect(text.hasPrefix("<html>  [31m"))
        #expect(text.utf8.count <= 1024 && text.utf8.count > 1000)
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test func `a limit is read from the text of a 429 and from headers`() {
        let text = "The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute"
        let reply = Self.reply(429, #"{"error_code":"APIGW.0308","error_msg":"\#(text)"}"#)
        #expect(reply.rateLimit == RateLimit(calls: 5, window: .seconds(60)))
        let header = Self.reply(200, "", headers: [("x-apig-ratelimit-user", "remain:9,limit:10,time:10 second")])
        #expect(header.rateLimit == RateLimit(calls: 10, window: .seconds(10)))
        #expect(Self.reply(429, "limit:0,time:1 minute").rateLimit == nil)
        #expect(Self.reply(429, "limit:99999999999999999999,time:1 minute").rateLimit?.calls == 999_999)
    }

    @Test(arguments: [
        ("limit:1,time:999999 day", 1), ("limit:1,time:1 day", 1), ("limit:1000,time:1 day", 10),
        ("limit:5,time:15 minute", 5), ("limit:100,time:1 hour", 25),
    ]) func `a window over fifteen minutes is cut to fifteen minutes, at the same rate`(_ text: String, _ calls: Int) {
        let quarter: Duration = .seconds(900)
        #expect(Self.reply(429, text).rateLimit == RateLimit(calls: calls, window: quarter))
        let header = Self.reply(200, "", headers: [("x-apig-ratelimit-api", text)])
        #expect(header.rateLimit == RateLimit(calls: calls, window: quarter))
    }

    @Test func `no Retry-After stops calls for more than a quarter of an hour`() {
        for text in ["901", "86400", "99999999999"] {
            #expect(Self.reply(503, "", headers: [("retry-after", text)]).retryAfter == .seconds(900))
        }
        let dates = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Mon, 07 Nov 1994 08:50:07 GMT")]
        #expect(Self.reply(503, "", headers: dates).retryAfter == .seconds(900))
    }

    @Test func `Retry-After is seconds or a date`() {
        #expect(Self.reply(503, "", headers: [("retry-after", "7")]).retryAfter == .seconds(7))
        let dates = [("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]
        #expect(Self.reply(503, "", headers: dates).retryAfter == .seconds(30))
        #expect(Self.reply(503, "", headers: [("retry-after", "soon")]).retryAfter == nil)
    }

    @Test func `a body with a 200 changes nothing`() {
        #expect(Self.reply(200, #"{"error_code":"HSS.0001"}"#).isSuccess)
        #expect(Self.reply(200, #"{"error_code":"HSS.0001"}"#).errorCode == nil)
    }

    @Test func `mutated bodies never trap and stay within the bound`() {
        var generator = SplitMix64(seed: 3)
        let seedBody = Array(
            #"{"error":{"error_code":"APIGW.0308","error_msg":"limit:5,time:1 minute \u00e9"},"request_id":"r"}"#.utf8)
        var longest = 0
        for _ in 0..<20_000 {
            var body = seedBody
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0..<body.count, using: &generator)
                if Bool.random(using: &generator) {
                    body[place] = .random(in: 0...255, using: &generator)
                } else {
                    body.remove(at: place)
                }
            }
            var completion = HTTPCompletion(id: 1)
            completion.status = [200, 400, 429, 502].randomElement(using: &generator) ?? 400
            completion.body = body
            let reply = ReplyParser.reply(completion, list: Bool.random(using: &generator) ? .hosts : nil)
            longest = max(longest, reply.errorMessage?.utf8.count ?? 0)
        }
        #expect(longest > 0 && longest <= 1024)
    }

    @Test(arguments: [
        "<html>", "{}", #"{"data_list":{}}"#, #"{"total_num":2,"data_list":[{"host_id":"h"}]}"#,
    ]) func `an incomplete list of hosts is no evidence`(_ body: String) {
        var completion = HTTPCompletion(id: 1)
        completion.status = 200
        completion.body = Array(body.utf8)
        #expect(Failure(ReplyParser.reply(completion, list: .hosts)) != nil)
        completion.body = Array(#"{"total_num":1,"data_list":[{"host_id":"h"}]}"#.utf8)
        #expect(Failure(ReplyParser.reply(completion, list: .hosts)) == nil)
        completion.body = Array(#"{"total_num":0,"data_list":[]}"#.utf8)
        #expect(Failure(ReplyParser.reply(completion, list: .hosts)) == nil)
    }
}
