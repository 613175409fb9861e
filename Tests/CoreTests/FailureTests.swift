import Testing

@testable import Core

@Suite struct FailureTests {
    static func failure(_ status: Int, _ code: String? = nil) -> Failure? {
        var reply = Reply()
        reply.httpStatus = status
        reply.errorCode = code
        return Failure(reply)
    }

    /// Each row with the code and status that the vendor would send.
    static let rows = Failure.table.map { row in
        (code: row.code.hasPrefix(".") ? "APIGW" + row.code : row.code, status: row.httpStatus ?? 400, row: row)
    }

    @Test(arguments: rows.indices) func `each row of the table decides for its code`(_ index: Int) throws {
        let (code, status, row) = Self.rows[index]
        let failure = try #require(Self.failure(status, code))
        #expect(failure.category == row.category)
        #expect(failure.disposition == row.disposition)
        #expect(failure.scope == row.scope)
        #expect(failure.code == code)
        #expect(failure.isKnown)
    }

    @Test(arguments: [
        ("HSS.1006", 400, Failure.Category.transient, Failure.Disposition.retry),
        ("HSS.1007", 400, .transient, .retry), ("HSS.1001", 400, .host, .refuse),
        ("APIG.0308", 429, .throttled, .wait), ("APIGW.0301", 401, .auth, .stop),
        ("APIGW.0307", 401, .auth, .stop), ("APIGW.0201", 502, .transient, .retry),
        ("APIGW.0201", 413, .request, .refuse), ("APIGW.0302", 403, .request, .refuse),
    ]) func `codes are handled as the contract states`(
        _ code: String, _ status: Int, _ category: Failure.Category, _ disposition: Failure.Disposition
    ) throws {
        let failure = try #require(Self.failure(status, code))
        #expect(failure.category == category)
        #expect(failure.disposition == disposition)
    }

    @Test(arguments: [
        (401, Failure.Disposition.stop), (403, .refuse), (404, .refuse), (429, .wait), (500, .retry), (502, .retry),
        (503, .retry), (504, .retry), (302, .refuse), (418, .refuse),
    ]) func `without a code the status decides`(_ status: Int, _ disposition: Failure.Disposition) throws {
        #expect(try #require(Self.failure(status)).disposition == disposition)
    }

    @Test func `an unknown code is reported and decided by its status`() throws {
        let failure = try #require(Self.failure(400, "HSS.9999"))
        #expect(!failure.isKnown)
        #expect(failure.category == .unknown)
        #expect(failure.disposition == .refuse)
        #expect(Self.failure(200, "HSS.0001") == nil)
    }
}
