/// Seeded faults that the simulation must find. Each omits one rule of delivery or quota.
package enum Mutation: String, CaseIterable, Sendable {
    case commitsTheHighestSeen
    case commitsPastTheEndAfterARestore
    case storesAfterARevoke
    case fencesBeforeDraining
    case remembersBeforeTheAcknowledgement
    case startsWithAnEmptyLedger
    case resumesWhatIsNotPaused
    case losesTheRetryCountOnARebalance
    case forgetsTheQuotaOnATakeover
    case callsWithoutALease
    case leavesWithoutAHandover
    case forgetsEarlierCallers
    case readsResultsBeforeItsOwnHaveLanded
    case takesTheOffsetForTheRecord
    case believesEachStepOfAClock
    case probesTheSameProject
    case probesWithCallsOnly
    case redrivesAnyOutcome
}

/// The only place where mutations take effect. Without `-DMUTATIONS` none can be set, and
/// the compiler removes their code.
package struct Mutations: Equatable, Sendable {
    #if MUTATIONS
        package var active: Mutation?
        package func has(_ mutation: Mutation) -> Bool { active == mutation }
    #else
        package func has(_ mutation: Mutation) -> Bool { false }
    #endif

    package init() {}
}
