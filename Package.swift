// swift-tools-version: 6.2
import PackageDescription

/// One array for every target of ours: a warning is an error, and each feature names the proposal it comes from.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
    .strictMemorySafety(),  // SE-0458
    .enableUpcomingFeature("ExistentialAny"),  // SE-0335
    .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
    .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),  // SE-0461
    .enableUpcomingFeature("InferIsolatedConformances"),  // SE-0470
]

/// Faults for the simulation to find; never in what is shipped.
let mutations: [SwiftSetting] = [.define("MUTATIONS", .when(configuration: .debug))]

func target(
    _ name: String, _ dependencies: [Target.Dependency], path: String? = nil, settings: [SwiftSetting] = []
) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: strict + settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

/// `FUZZ=1` makes Tests/Fuzz a program for libFuzzer (`make fuzz`), in place of the test that replays its corpus.
func fuzz(_ dependencies: [Target.Dependency]) -> [Target] {
    guard Context.environment["FUZZ"] == "1" else {
        return [
            .testTarget(
                name: "FuzzTests", dependencies: dependencies, path: "Tests/Fuzz",
                exclude: ["CFuzzer", "Entry.swift", "corpus", "run", "words"], swiftSettings: strict)
        ]
    }
    return [
        .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .executableTarget(
            name: "fuzz", dependencies: dependencies + ["CFuzzer"], path: "Tests/Fuzz",
            exclude: ["CFuzzer", "Replay.swift", "corpus", "run", "words"], swiftSettings: strict),
    ]
}

let package = Package(
    name: "plugin-starter",
    products: [.executable(name: "plugin-starter", targets: ["plugin-starter"])],
    targets: [
        .systemLibrary(name: "CRdkafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CMicrohttpd", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
        .systemLibrary(name: "CLinux"),

        target("Crypto", ["CCrypto"]),
        target("Core", ["Crypto"], settings: mutations),
        target("Kafka", ["Core", "CRdkafka", "CLinux"]),
        target("HTTP", ["Core", "CCurl", "CMicrohttpd", "CLinux"]),
        target("HSS", ["Core", "Crypto", "HTTP"]),
        target("Settings", ["Core", "CYaml"]),
        target("Audit", ["Core", "Crypto"]),
        target("Schemas", []),
        target("Checking", ["Core"]),
        target("Worker", ["Core", "Kafka", "HTTP", "HSS", "Checking", "CLinux"]),
        target("Sandbox", ["Core", "Crypto", "HTTP", "CLinux"]),
        target("Planning", ["Core", "Sandbox"]),
        target("Reporting", ["Core"]),
        target("Redriving", ["Core", "Reporting"]),
        .executableTarget(
            name: "plugin-starter",
            dependencies: [
                "Core", "Kafka", "HTTP", "HSS", "Settings", "Worker", "Sandbox", "Planning", "Audit", "Schemas",
                "Reporting", "Checking", "Redriving", "CLinux",
            ],
            swiftSettings: strict),

        target("Simulation", ["Core"], path: "Tests/Simulation", settings: mutations),
        .executableTarget(
            name: "simulate", dependencies: ["Simulation", "Core"], path: "Tests/Simulate",
            swiftSettings: strict + mutations),
        tests("SimulationTests", ["Simulation", "Core"]),
        // Not a product: `make bench-ledger` runs it.
        .executableTarget(
            name: "bench-ledger", dependencies: ["Core"], path: "Tests/Bench/Ledger", swiftSettings: strict),

        // Not a product: `make bench-pacing` runs it.
        .executableTarget(
            name: "bench-pacing", dependencies: ["Core", "Planning"], path: "Tests/Bench/Pacing", swiftSettings: strict),

        // Not a product: `make bench-copy` runs it.
        .executableTarget(
            name: "bench-copy", dependencies: ["Core", "Kafka"], path: "Tests/Bench/Copy", swiftSettings: strict),

        tests("CoreTests", ["Core", "Crypto"]),
        tests("KafkaTests", ["Kafka", "Core", "CLinux"]),
        tests("HTTPTests", ["HTTP", "Core"]),
        tests("HSSTests", ["HSS", "HTTP", "Core", "Crypto"], exclude: ["Fixtures"]),
        tests("SettingsTests", ["Settings", "Core"]),
        tests("PlanningTests", ["Planning", "Core"]),
        tests("ReportingTests", ["Reporting", "Core"]),
        tests("RedrivingTests", ["Redriving", "Reporting", "Planning", "Core"]),
        tests("AuditTests", ["Audit", "Core"]),
        tests("CheckingTests", ["Checking", "Core"]),
        tests("WorkerTests", ["Worker", "Core", "Kafka", "HSS", "HTTP"]),
        tests("SandboxTests", ["Sandbox", "HSS", "HTTP", "Core", "Crypto"]),
        tests("SchemaTests", ["Schemas", "Core", "Settings"], exclude: ["Fixtures"]),
        tests("IntegrationTests", ["Core", "Crypto", "HTTP", "Kafka", "CLinux"]),
    ] + fuzz(["Core", "HSS", "HTTP", "Settings", "Sandbox"]),
    swiftLanguageModes: [.v6]
)
