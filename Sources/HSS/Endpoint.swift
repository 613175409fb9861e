package import Core

extension Endpoint {
    /// The regions in the vendor's SDK (huaweicloudsdkhss, `hss_region`).
    package static let regions = [
        "cn-north-1", "cn-north-2", "cn-north-4", "cn-north-9", "cn-north-11", "cn-north-12", "cn-east-2", "cn-east-3",
        "cn-east-4", "cn-east-5", "cn-south-1", "cn-south-2", "cn-south-4", "cn-southwest-2", "cn-southwest-3",
        "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "af-south-1",
        "af-north-1", "na-mexico-1", "la-north-2", "la-south-2", "sa-brazil-1", "tr-west-1", "ae-ad-1", "me-east-1",
        "my-kualalumpur-1", "ru-moscow-1", "eu-west-101",
    ]

    /// The HSS endpoint of a region, or nil if the text cannot be a region.
    package static func hss(region: String) -> Endpoint? { service("hss", region) }
    package static func iam(region: String) -> Endpoint? { service("iam", region) }

    private static func service(_ name: String, _ region: String) -> Endpoint? {
        let isName = { (byte: UInt8) in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard !region.isEmpty, region.utf8.allSatisfy(isName) else { return nil }
        return Endpoint(url: "https://\(name).\(region).myhuaweicloud.\(region == "eu-west-101" ? "eu" : "com")")
    }
}
