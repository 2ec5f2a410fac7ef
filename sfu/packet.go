package sfu

import (
	"encoding/binary"

	"commsd/sfu/udpmux"
)

// packet is what forwarding needs of an RTP packet (RFC 3550, 5.1), read
// without allocating. Its slices point into the buffer it was parsed from.
type packet struct {
	marker      bool
	payloadType uint8
	seq         uint16
	ts          uint32
	ssrc        uint32
	extProfile  uint16 // profile of the header extension, 0 when there is none
	ext         []byte // its body
	payload     []byte // without padding
	headerLen   int    // bytes before the payload
}

// Header extension profiles of RFC 8285.
const (
	extOneByte  = 0xBEDE
	extTwoByte  = 0x1000 // the low four bits are the application's
	rtpHeader   = 12
	maxRTPBytes = udpmux.MaxPacket // longer ones do not reach us over UDP
)

// parse reads b. It reports false for what is no RTP packet.
func (p *packet) parse(b []byte) bool {
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		return false
	}
	*p = packet{
		marker: b[1]&0x80 != 0, payloadType: b[1] & 0x7F,
		seq: binary.BigEndian.Uint16(b[2:]), ts: binary.BigEndian.Uint32(b[4:]), ssrc: binary.BigEndian.Uint32(b[8:]),
	}
	at := rtpHeader + 4*int(b[0]&0x0F)
	if len(b) < at {
		return false
	}
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return false
		}
		size := 4 * int(binary.BigEndian.Uint16(b[at+2:]))
		if len(b) < at+4+size {
			return false
		}
		p.extProfile = binary.BigEndian.Uint16(b[at:])
		p.ext = b[at+4 : at+4+size]
		at += 4 + size
	}
	end := len(b)
	if b[0]&0x20 != 0 {
		pad := int(b[end-1])
		if pad == 0 || at+pad > end {
			return false
		}
		end -= pad
	}
	p.payload, p.headerLen = b[at:end], at
	return true
}

// extension returns the header extension element with the given id, nil when
// the packet has none (RFC 8285, 4.2 and 4.3).
func (p *packet) extension(id uint8) []byte {
	if id == 0 || len(p.ext) == 0 {
		return nil
	}
	twoByte := p.extProfile&0xFFF0 == extTwoByte
	if !twoByte && p.extProfile != extOneByte {
		return nil
	}
	for b := p.ext; len(b) > 0; {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		var got uint8
		var size int
		if twoByte {
			if len(b) < 2 {
				return nil
			}
			got, size, b = b[0], int(b[1]), b[2:]
		} else {
			got, size, b = b[0]>>4, int(b[0]&0x0F)+1, b[1:]
			if got == 15 {
				return nil // "stop processing"
			}
		}
		if size > len(b) {
			return nil
		}
		if got == id {
			return b[:size]
		}
		b = b[size:]
	}
	return nil
}

// newer tells whether sequence number a comes after b, across the wrap.
func newer(a, b uint16) bool { return int16(a-b) > 0 }

// laterTS tells whether timestamp a comes after b, across the wrap.
func laterTS(a, b uint32) bool { return int32(a-b) > 0 }
