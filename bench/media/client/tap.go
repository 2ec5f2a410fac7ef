package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
	"golang.org/x/sys/unix"

	"commsd/bench/media/tally"
)

// samplePackets is how many packets there are to one that is decrypted. A
// power of two, so that the numbers' wrap keeps it.
const samplePackets = 16

// tap is the socket of one connection. It counts what the server sends by the
// headers, which SRTP leaves in clear, and lets only a sample of the media
// through to be decrypted: a driver that did for each packet what a client
// does would take as much of the machine as the server that it measures. The
// kernel writes down when a packet came, so that it does not matter how late
// the driver reads it.
type tap struct {
	*net.UDPConn
	oob [64]byte // owned by the mux's reader

	received atomic.Int64 // packets of media, repetitions included
	bytes    atomic.Int64

	mu       sync.Mutex
	kinds    map[uint8]string   // guarded by mu; payload type → "audio", "video"; others are not counted for loss
	twccID   uint8              // guarded by mu; of the header extension, 0: none
	streams  map[uint32]*stream // guarded by mu
	recorder *twcc.Recorder     // guarded by mu
	first    map[string]time.Time
}

// stream is what one SSRC brought.
type stream struct {
	kind     string
	count    tally.Stream
	reported tally.Count // at the last receiver report
	sampled  [8]arrival
}

type arrival struct {
	seq uint16
	at  int64
}

// listenTap opens a socket on a free port of ip.
func listenTap(ip netip.Addr) (*tap, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	_ = conn.SetReadBuffer(1 << 20) // what the kernel grants is enough to go on with
	raw, err := conn.SyscallConn()
	if err == nil {
		var set error
		err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
		err = errors.Join(err, set)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("client: ask for times of arrival: %w", err), conn.Close())
	}
	return &tap{UDPConn: conn, streams: make(map[uint32]*stream), recorder: twcc.NewRecorder(1), first: make(map[string]time.Time)}, nil
}

// describe says how the media that comes is to be read.
func (t *tap) describe(kinds map[uint8]string, twccID uint8) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kinds, t.twccID = kinds, twccID
}

// ReadFromAddrPort brings the packets that the PeerConnection must see.
func (t *tap) ReadFromAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		n, oobn, _, from, err := t.ReadMsgUDPAddrPort(b, t.oob[:])
		if err != nil {
			return n, from, err
		}
		// RTP and RTCP share the port (RFC 5761, 4): the second byte tells.
		if n < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 {
			return n, from, nil
		}
		if t.media(b[:n], arrivedAt(t.oob[:oobn])) {
			return n, from, nil
		}
	}
}

// WriteToAddrPort sends.
func (t *tap) WriteToAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return t.WriteToUDPAddrPort(b, to)
}

// arrivedAt reads the kernel's time of arrival from control messages, in
// nanoseconds since 1970.
func arrivedAt(oob []byte) int64 {
	const header = unix.SizeofCmsghdr
	if len(oob) >= header+16 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS {
			return int64(binary.NativeEndian.Uint64(oob[header:]))*1e9 + int64(binary.NativeEndian.Uint64(oob[header+8:]))
		}
	}
	return time.Now().UnixNano()
}

// media counts a packet and tells whether it is one of the sample.
func (t *tap) media(b []byte, at int64) (sample bool) {
	seq, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[8:])
	t.received.Add(1)
	t.bytes.Add(int64(len(b)))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.twccID != 0 {
		if number, ok := extension(b, t.twccID); ok {
			t.recorder.Record(ssrc, number, at/1000)
		}
	}
	s := t.streams[ssrc]
	if s == nil {
		kind := t.kinds[b[1]&0x7F]
		s = &stream{kind: kind}
		t.streams[ssrc] = s
		if _, ok := t.first[kind]; !ok {
			t.first[kind] = time.Unix(0, at)
		}
	}
	fresh := s.count.Add(seq)
	// The first ones tell the PeerConnection of the track.
	if seq%samplePackets != 0 && s.count.Count().Received > 2 || !fresh {
		return false
	}
	s.sampled[seq/samplePackets%uint16(len(s.sampled))] = arrival{seq, at}
	return true
}

// extension reads a two-byte element of the header extension (RFC 8285, 4.2).
func extension(b []byte, id uint8) (uint16, bool) {
	at := 12 + 4*int(b[0]&0x0F)
	if b[0]&0x10 == 0 || len(b) < at+4 || binary.BigEndian.Uint16(b[at:]) != 0xBEDE {
		return 0, false
	}
	end := at + 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	if len(b) < end {
		return 0, false
	}
	for at += 4; at < end; {
		if b[at] == 0 { // padding
			at++
			continue
		}
		size := int(b[at]&0x0F) + 1
		if b[at]>>4 == id && size == 2 && at+2 < end {
			return binary.BigEndian.Uint16(b[at+1:]), true
		}
		at += 1 + size
	}
	return 0, false
}

// arrived tells when a packet of the sample came.
func (t *tap) arrived(ssrc uint32, seq uint16) (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.streams[ssrc]
	if s == nil {
		return 0, false
	}
	a := s.sampled[seq/samplePackets%uint16(len(s.sampled))]
	return a.at, a.seq == seq && a.at != 0
}

// count adds up the streams of a kind.
func (t *tap) count(kind string) (c tally.Count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.streams {
		if s.kind == kind {
			c = c.Plus(s.count.Count())
		}
	}
	return c
}

// firstOf tells when the first packet of a kind came.
func (t *tap) firstOf(kind string) (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.first[kind]
	return at, ok
}

// feedback tells the server when its packets came, for its estimate of the
// bandwidth.
func (t *tap) feedback() []rtcp.Packet {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.twccID == 0 {
		return nil
	}
	return t.recorder.BuildFeedbackPacket()
}

// report is a receiver report (RFC 3550, 6.4.2) of all streams.
func (t *tap) report() []rtcp.Packet {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []rtcp.Packet
	var rr *rtcp.ReceiverReport
	for ssrc, s := range t.streams {
		if s.kind == "" {
			continue
		}
		now := s.count.Count()
		since := now.Since(s.reported)
		s.reported = now
		if rr == nil || len(rr.Reports) == 31 {
			rr = &rtcp.ReceiverReport{SSRC: 1}
			out = append(out, rr)
		}
		rr.Reports = append(rr.Reports, rtcp.ReceptionReport{
			SSRC: ssrc, FractionLost: uint8(since.Lost() * 255), TotalLost: uint32(max(0, now.Expected-now.Received)), LastSequenceNumber: s.count.Highest(),
		})
	}
	return out
}
