package udpmux

import (
	"bytes"
	"encoding/binary"
)

const (
	stunHeader   = 20
	stunCookie   = 0x2112A442
	stunUsername = 0x0006
	headerRTP    = 12 // bytes at least
)

// isSTUN tells a STUN message from what shares its port (RFC 7983, 7; RFC 8489,
// 5).
func isSTUN(b []byte) bool {
	return len(b) >= stunHeader && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == stunCookie
}

// stunUfrag returns the receiver's part of a STUN message's user name (RFC 8445,
// 7.2.2: the receiver's fragment, a colon, the sender's), nil when it has none.
// It points into b, and nothing has vouched for it.
func stunUfrag(b []byte) []byte {
	if len(b) < stunHeader {
		return nil
	}
	end := stunHeader + int(binary.BigEndian.Uint16(b[2:]))
	if end > len(b) {
		return nil
	}
	for at := stunHeader; at+4 <= end; {
		size := int(binary.BigEndian.Uint16(b[at+2:]))
		value := at + 4
		if value+size > end {
			return nil
		}
		if binary.BigEndian.Uint16(b[at:]) == stunUsername {
			name := b[value : value+size]
			if i := bytes.IndexByte(name, ':'); i >= 0 {
				name = name[:i]
			}
			return name
		}
		at = value + (size+3)&^3
	}
	return nil
}

// IsRTP tells RTP from RTCP and from all else on its port (RFC 5761, 4; RFC
// 7983, 7).
func IsRTP(b []byte) bool {
	return len(b) >= headerRTP && b[0]>>6 == 2 && (b[1]&0x7F < 64 || b[1]&0x7F > 95)
}
