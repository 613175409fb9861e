#if MUTATIONS
    /// Faults that the simulation has to find: each is one rule of delivery or quota left out. Compiled into tests only.
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
    }
#endif
