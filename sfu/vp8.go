package sfu

// vp8 is the payload descriptor of a VP8 packet (RFC 7741, 4.2) as far as
// forwarding needs it. Offsets are into the payload; 0 means absent.
type vp8 struct {
	start     bool // first packet of the frame's first partition
	key       bool // of a key frame; known on the first packet only
	pidAt     int  // of the picture id
	pidLong   bool // 15 bits instead of 7
	pid       uint16
	tl0At     int // of TL0PICIDX
	tl0       uint8
	layered   bool  // it says which temporal layer it is of
	tid       uint8 // that layer; a frame refers to none above its own
	sync      bool  // and to the lowest alone
	headerLen int
}

// parse reads the descriptor. It reports false when payload is too short for
// what the descriptor announces.
func (d *vp8) parse(payload []byte) bool {
	*d = vp8{}
	if len(payload) == 0 {
		return false
	}
	at := 1
	first := payload[0]
	if first&0x80 != 0 { // X
		if len(payload) < 2 {
			return false
		}
		x := payload[1]
		at = 2
		if x&0x80 != 0 { // I
			if len(payload) <= at {
				return false
			}
			d.pidAt = at
			d.pid = uint16(payload[at] & 0x7F)
			if payload[at]&0x80 != 0 { // M
				if len(payload) <= at+1 {
					return false
				}
				d.pidLong = true
				d.pid = d.pid<<8 | uint16(payload[at+1])
				at++
			}
			at++
		}
		if x&0x40 != 0 { // L
			if len(payload) <= at {
				return false
			}
			d.tl0At = at
			d.tl0 = payload[at]
			at++
		}
		if x&0x30 != 0 { // T or K
			if len(payload) <= at {
				return false
			}
			if x&0x20 != 0 {
				d.layered, d.tid, d.sync = true, payload[at]>>6, payload[at]&0x20 != 0
			}
			at++
		}
	}
	if len(payload) <= at {
		return false
	}
	d.headerLen = at
	d.start = first&0x10 != 0 && first&0x07 == 0 // S, partition 0
	d.key = d.start && payload[at]&0x01 == 0     // P bit of the frame header (RFC 6386, 9.1)
	return true
}

// rewrite writes picture id and TL0PICIDX into payload, which has the layout
// that d was parsed from.
func (d *vp8) rewrite(payload []byte, pid uint16, tl0 uint8) {
	if d.pidAt > 0 {
		if d.pidLong {
			payload[d.pidAt] = 0x80 | byte(pid>>8)&0x7F
			payload[d.pidAt+1] = byte(pid)
		} else {
			payload[d.pidAt] = byte(pid) & 0x7F
		}
	}
	if d.tl0At > 0 {
		payload[d.tl0At] = tl0
	}
}
