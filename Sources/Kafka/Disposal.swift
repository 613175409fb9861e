internal import Glibc

/// Lets go of a client on a thread of its own. The library's destroy call joins its broker threads, and one of them may be
/// waiting for a name server: the loop must not wait with it.
package enum Disposal {
    /// Takes the client out of the slot, which has to hold the only reference.
    package static func dispose<Client: AnyObject>(of slot: inout Client?) {
        guard let context = unsafe take(&slot) else { return }
        var thread = pthread_t()
        if unsafe pthread_create(&thread, nil, releaseOnThread, context) == 0 {
            pthread_detach(thread)
        } else {
            unsafe Unmanaged<AnyObject>.fromOpaque(context).release()
        }
    }

    /// In a function of its own, so that no other reference outlives it.
    private static func take<Client: AnyObject>(_ slot: inout Client?) -> UnsafeMutableRawPointer? {
        guard let client = slot else { return nil }
        slot = nil
        return unsafe Unmanaged<AnyObject>.passRetained(client).toOpaque()
    }
}

private func releaseOnThread(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context = unsafe context { unsafe Unmanaged<AnyObject>.fromOpaque(context).release() }
    return nil
}
