package udpmux

const (
	evenTo   = 16
	mostEven = 1200 // bytes of payload; longer ones may have no room left on the way
)

// Even is how many bytes of padding (RFC 3550, 5.1) make a payload of n bytes as
// long as others that go with it: a multiple of evenTo. Browsers split a frame
// into packets of about equal size, the last of them a byte longer; a run (see
// udpRun) needs them equal. Eight bytes more a packet, on average, halve the
// system calls.
func Even(n int) int {
	if n < leastHeld || n > mostEven {
		return 0
	}
	return -n & (evenTo - 1)
}
