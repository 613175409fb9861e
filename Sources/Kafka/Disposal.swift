/// Lets go of a client on a thread of its own. The library's destroy call joins its broker threads, and one of them may be
/// waiting for a name server: the loop must not wait with it.
package enum Disposal {
    /// Takes the client out of the slot, which has to hold the only reference.
    package static func dispose<Client: AnyObject>(of slot: inout Client?) {
        guard let address = take(&slot) else { return }
        let release: @Sendable () -> Void = {
            guard let context = unsafe UnsafeRawPointer(bitPattern: address) else { return }
            unsafe Unmanaged<AnyObject>.fromOpaque(context).release()
        }
        if !DetachedThread.start(release) { release() }
    }

    /// In a function of its own, so that no other reference outlives it. A number crosses threads, a reference does not.
    private static func take<Client: AnyObject>(_ slot: inout Client?) -> UInt? {
        guard let client = slot else { return nil }
        slot = nil
        return unsafe UInt(bitPattern: Unmanaged<AnyObject>.passRetained(client).toOpaque())
    }
}
