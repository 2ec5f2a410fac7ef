package sfu

const (
	evenTo   = 16
	mostEven = 1200 // bytes of payload; longer ones may have no room left on the way
)

// even pads a packet of n bytes of payload (RFC 3550, 5.1) to a multiple of
// evenTo. Browsers split a frame into packets of about equal size, the last of
// them a byte longer; a run (see udpRun) needs them equal. Eight bytes more a
// packet, on average, halve the system calls.
func (o *outPacket) even(n int) {
	if pad := -n & (evenTo - 1); pad > 0 && n >= leastHeld && n <= mostEven {
		o.header.Padding, o.header.PaddingSize = true, byte(pad)
	}
}
