package owner

// For tests of what a stale owner can still write.
var (
	LeaveRoom = leaveRoom
	Sweep     = sweep
)

// Wake has the lease looked at, as its timer would.
func (o *Owner) Wake() { wake(o.kick) }
