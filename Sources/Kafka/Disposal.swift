/// Releases a client on a separate thread. librdkafka's destroy call joins its broker threads, and one of them may be
/// waiting for a name server. The loop must not wait for it.
package enum Disposal {
    /// Takes the client out of the slot, which must hold the only reference.
    package static func dispose<Client: AnyObject>(of slot: inout Client?) {
        guard let address = take(&slot) else { return }
        let release: @Sendable () -> Void = {
            guard let context = unsafe UnsafeRawPointer(bitPattern: address) else { return }
            unsafe Unmanaged<AnyObject>.fromOpaque(context).release()
        }
        if !DetachedThread.start(release) { release() }
    }

    /// A separate function, so that no other reference outlives it. It returns a number, because a number can cross
    /// threads and a reference cannot.
    private static func take<Client: AnyObject>(_ slot: inout Client?) -> UInt? {
        guard let client = slot else { return nil }
        slot = nil
        return unsafe UInt(bitPattern: Unmanaged<AnyObject>.passRetained(client).toOpaque())
    }
}
