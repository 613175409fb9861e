import Foundation
import Testing

@testable import Core
@testable import HSS

/// The vendor's SDK made these vectors; each was computed again by another implementation.
@Suite struct SignerTests {
    struct Vector: CustomTestStringConvertible, Sendable {
        var id: String
        var json: JSON
        var testDescription: String { id }
    }

    static let file: JSON = {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/signing-vectors.json")
        return (try? Data(contentsOf: url)).flatMap { try? JSON(parsing: Array($0)) } ?? .null
    }()

    static func vectors(_ name: String) -> [Vector] {
        (file[name]?.array ?? []).map { Vector(id: $0["id"]?.string ?? "", json: $0) }
    }

    @Test func `the fixture holds all vectors`() {
        #expect(Self.vectors("vectors").count == 23)
        #expect(Self.vectors("published_cross_checks").count == 3)
    }

    static func message(_ vector: JSON) throws -> Signer.Message {
        let input = try #require(vector["input"])
        let path = try #require(input["path"]?.string?.removingPercentEncoding)
        guard case .object(let headers)? = vector["headers_signed"] else { throw CancellationError() }
        return Signer.Message(
            method: try #require(input["method"]?.string),
            path: path.split(separator: "/").map(String.init),
            query: (input["query"]?.array ?? []).map { ($0.array?[0].string ?? "", $0.array?[1].string ?? "") },
            headers: headers.map { ($0.name, $0.value.string ?? "") },
            body: Array((input["body"]?.string ?? "").utf8))
    }

    @Test(arguments: vectors("vectors") + vectors("published_cross_checks"))
    func `canonical request, text to sign and signature are the vendor's`(_ vector: Vector) throws {
        let json = vector.json
        let message = try Self.message(json)
        let (canonical, signed) = Signer.canonicalRequest(message)
        #expect(canonical == json["canonical_request"]?.string)
        #expect(signed == json["signed_headers"]?.string)
        let date = try #require(message.headers.first { $0.name.lowercased() == "x-sdk-date" }?.value)
        #expect(Signer.stringToSign(canonical, date: date) == json["string_to_sign"]?.string)
        // The published samples leave the secret out; their canonical form is what they prove.
        guard let access = json["input"]?["ak"]?.string, let secret = json["input"]?["sk"]?.string else { return }
        let authorization = Signer.authorization(message, date: date, accessKey: access, secretKey: secret)
        #expect(authorization == json["authorization"]?.string)
    }

    @Test func `everything but letters, digits and four signs is encoded`() {
        #expect(Signer.percentEncode("../../x?y#z é+*") == "..%2F..%2Fx%3Fy%23z%20%C3%A9%2B%2A")
        #expect(Signer.percentEncode("AZaz09-_.~") == "AZaz09-_.~")
    }
}
