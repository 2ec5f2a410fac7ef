package owner

// For tests of what a stale owner can still write.
var (
	LeaveRoom = leaveRoom
	Sweep     = sweep
)
