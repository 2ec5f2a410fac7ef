// Package camera plays the people whom a load driver sends into a meeting: VP8
// simulcast (layers q, h, f) and Opus as Chromium sends them, with recorded
// sizes of frames, Chromium's way of splitting and pacing them, correct payload
// descriptors (RFC 7741) and bytes of noise where a picture would be. Each
// packet ends with the time at which it was sent.
//
// It must not know how packets reach a server: a Track takes them.
package camera

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
)

// Layers are the RIDs of the simulcast layers, lowest first.
var Layers = []string{"q", "h", "f"}

// Shape of the layers, by RID.
var (
	Widths   = map[string]uint32{"q": 320, "h": 640, "f": 1280}
	Heights  = map[string]uint32{"q": 180, "h": 360, "f": 720}
	Bitrates = map[string]uint32{"q": 150_000, "h": 500_000, "f": 2_000_000} // bits a second
	rates    = map[string]int{"q": 15, "h": 30, "f": 30}                     // frames a second
)

const (
	maxPayload = 1150 // of a video packet; with headers it stays under Chromium's 1,200
	opusEvery  = 20 * time.Millisecond
	dtxEvery   = 400 * time.Millisecond
	// Chromium's pacer sends at 2.5 times the target rate, in bursts of 5 ms.
	paceEvery  = 5 * time.Millisecond
	paceFactor = 2.5
	// longestPace bounds the burst after a time in which the driver did not run.
	longestPace = 40 * time.Millisecond
)

// stampSize is the length of what ends each payload: a mark and a time.
const stampSize = 16

var stampMark = [8]byte{'c', 'o', 'm', 'm', 's', 'd', 0xB3, 0x9C}

// Stamp writes at, in nanoseconds, to the end of payload.
func Stamp(payload []byte, at int64) {
	end := payload[len(payload)-stampSize:]
	copy(end, stampMark[:])
	binary.BigEndian.PutUint64(end[8:], uint64(at))
}

// Stamped reads what Stamp wrote.
func Stamped(payload []byte) (at int64, ok bool) {
	if len(payload) < stampSize {
		return 0, false
	}
	end := payload[len(payload)-stampSize:]
	if [8]byte(end[:8]) != stampMark {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(end[8:])), true
}

// Track takes the packets of one layer or of the sound. The packet is used
// again after the call.
type Track func(*rtp.Packet) error

// Config says what a person sends. A layer without a track is not sent.
type Config struct {
	Video map[string]Track // by RID
	Audio Track            // nil: no sound
	// Silent sends comfort noise alone: a packet every 400 ms, as Opus with DTX.
	Silent bool
	// Level writes the audio level (RFC 6464) into an audio packet; may be nil.
	Level func(p *rtp.Packet, dBov uint8)
	Seed  uint64
	Start time.Time // of the first frame
}

// Source is one person's camera and microphone. KeyFrame may be called from any
// goroutine, all else from one.
type Source struct {
	layers []*layer // lowest first
	audio  *sound
	rate   float64   // bytes a second that the pacer lets through
	last   time.Time // of the pace before
	queue  []queued
	noise  [maxPayload]byte
	packet rtp.Packet
	sent   atomic.Uint64
}

// queued is a packet that waits for the pacer.
type queued struct {
	layer            *layer
	size             int // of the payload with its descriptor
	first, last, key bool
	ts               uint32
	pid              uint16
	tl0, tid         uint8
}

// layer is one encoder.
type layer struct {
	rid      string
	track    Track
	clip     clip
	every    time.Duration
	next     time.Time
	start    time.Time
	frame    int // since start
	delta    int // index into clip.deltas
	key      int // index into clip.keys
	pid      uint16
	tl0      uint8
	phase    int // in the pattern of temporal layers
	seq      uint16
	baseTS   uint32
	wantsKey atomic.Bool
}

// sound is a microphone.
type sound struct {
	track  Track
	level  func(*rtp.Packet, uint8)
	silent bool
	next   time.Time
	start  time.Time
	seq    uint16
	baseTS uint32
	rand   *rand.Rand
}

// New makes a person.
func New(cfg Config) (*Source, error) {
	clips, err := readClips(clipText)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(cfg.Seed, 0x6D656469))
	s := &Source{}
	for i := range s.noise {
		s.noise[i] = byte(r.Uint32())
	}
	var rate float64
	for _, rid := range Layers {
		track := cfg.Video[rid]
		if track == nil {
			continue
		}
		c, ok := clips[rid]
		if !ok {
			return nil, fmt.Errorf("camera: no clip for layer %s", rid)
		}
		l := &layer{
			rid: rid, track: track, clip: c, every: time.Second / time.Duration(rates[rid]), next: cfg.Start, start: cfg.Start,
			delta: r.IntN(len(c.deltas)) &^ 3, key: r.IntN(len(c.keys)),
			pid: uint16(r.Uint32() & 0x7FFF), tl0: uint8(r.Uint32()), seq: uint16(r.Uint32()), baseTS: r.Uint32(),
		}
		l.wantsKey.Store(true)
		s.layers = append(s.layers, l)
		rate += float64(Bitrates[rid]) / 8
	}
	if cfg.Audio != nil {
		// Microphones of a room do not tick together.
		start := cfg.Start.Add(time.Duration(r.Int64N(int64(opusEvery))))
		s.audio = &sound{track: cfg.Audio, level: cfg.Level, silent: cfg.Silent, next: start, start: start, seq: uint16(r.Uint32()), baseTS: r.Uint32(), rand: r}
	}
	s.rate = rate * paceFactor
	s.last = cfg.Start.Add(-paceEvery)
	return s, nil
}

// KeyFrame makes the next frame of the layer a key frame.
func (s *Source) KeyFrame(rid string) {
	for _, l := range s.layers {
		if l.rid == rid {
			l.wantsKey.Store(true)
		}
	}
}

// Sent counts the packets sent.
func (s *Source) Sent() uint64 { return s.sent.Load() }

// Pace does what is due at now: it encodes frames, and sends of what waits as
// much as one burst may. It is to be called every 5 ms; the first error of a
// track ends it.
func (s *Source) Pace(now time.Time) error {
	if s.audio != nil {
		if err := s.speak(now); err != nil {
			return err
		}
	}
	for _, l := range s.layers {
		for !l.next.After(now) {
			s.encode(l)
		}
	}
	budget := s.rate * min(now.Sub(s.last), longestPace).Seconds()
	s.last = now
	n := 0
	for n < len(s.queue) && budget > 0 {
		q := s.queue[n]
		budget -= float64(q.size)
		if err := s.send(q); err != nil {
			return err
		}
		n++
	}
	s.queue = s.queue[:copy(s.queue, s.queue[n:])]
	return nil
}

// encode queues the next frame of l.
func (s *Source) encode(l *layer) {
	key := l.wantsKey.Swap(false)
	var size int
	tid := [4]uint8{0, 2, 1, 2}[l.phase]
	if key {
		size, tid, l.phase = l.clip.keys[l.key], 0, 0
		l.key = (l.key + 1) % len(l.clip.keys)
	} else {
		// The sizes of the clip follow the pattern, which a key frame begins anew;
		// the first of the clip comes right after one.
		for (l.delta+1)%4 != l.phase {
			l.delta = (l.delta + 1) % len(l.clip.deltas)
		}
		size = l.clip.deltas[l.delta]
		l.delta = (l.delta + 1) % len(l.clip.deltas)
	}
	l.phase = (l.phase + 1) % 4
	l.pid = (l.pid + 1) & 0x7FFF
	if tid == 0 {
		l.tl0++
	}
	ts := l.baseTS + uint32(l.next.Sub(l.start).Seconds()*90000)
	sizes := split(size, maxPayload-descriptorSize)
	for i, n := range sizes {
		s.queue = append(s.queue, queued{
			layer: l, size: descriptorSize + n, first: i == 0, last: i == len(sizes)-1, key: key, ts: ts, pid: l.pid, tl0: l.tl0, tid: tid,
		})
	}
	l.frame++
	l.next = l.start.Add(time.Duration(l.frame) * l.every)
}

// split cuts a frame as Chromium does: into as few packets as may be, of equal
// sizes, the last of them one byte longer where it does not come out even. A
// packet has room for a frame's header and a stamp.
func split(size, most int) []int {
	size = max(size, frameHeader+stampSize)
	n := (size + most - 1) / most
	out := make([]int, n)
	for i := range out {
		out[i] = size / n
		if i >= n-size%n {
			out[i]++
		}
	}
	return out
}

const (
	descriptorSize = 6
	frameHeader    = 10 // of a key frame (RFC 6386, 9.1)
)

// send sends one packet of video.
func (s *Source) send(q queued) error {
	l := q.layer
	payload := s.noise[:q.size]
	describe(payload, q)
	body := payload[descriptorSize:]
	if q.first {
		// The frame tag (RFC 6386, 9.1): bit 0 is clear in a key frame.
		if q.key {
			copy(body, []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A})
			binary.LittleEndian.PutUint16(body[6:], uint16(Widths[l.rid]))
			binary.LittleEndian.PutUint16(body[8:], uint16(Heights[l.rid]))
		} else {
			body[0] = 0x11
		}
	}
	s.packet.Header = rtp.Header{Version: 2, Marker: q.last, SequenceNumber: l.seq, Timestamp: q.ts}
	s.packet.Payload = payload
	l.seq++
	s.sent.Add(1)
	Stamp(payload, time.Now().UnixNano())
	return l.track(&s.packet)
}

// describe writes the payload descriptor (RFC 7741, 4.2): X, I with 15 bits, L
// and T, as Chromium's simulcast encoder sends them.
func describe(payload []byte, q queued) {
	payload[0] = 0x80
	if q.tid == 2 {
		payload[0] |= 0x20 // N: nothing refers to it
	}
	if q.first {
		payload[0] |= 0x10 // S
	}
	payload[1] = 0xE0
	payload[2], payload[3] = 0x80|byte(q.pid>>8), byte(q.pid)
	payload[4] = q.tl0
	payload[5] = q.tid << 6
	if q.tid != 0 && !q.key {
		payload[5] |= 0x20 // Y: needs temporal layer 0 alone
	}
}

// speak sends the sound that is due.
func (s *Source) speak(now time.Time) error {
	a := s.audio
	every, size, level := opusEvery, 70+a.rand.IntN(50), uint8(30+a.rand.IntN(10))
	if a.silent {
		every, size, level = dtxEvery, stampSize+1, 127
	}
	for !a.next.After(now) {
		payload := s.noise[:size]
		payload[0] = 0xFC // 20 ms of fullband CELT, stereo (RFC 6716, 3.1)
		Stamp(payload, time.Now().UnixNano())
		s.packet.Header = rtp.Header{Version: 2, SequenceNumber: a.seq, Timestamp: a.baseTS + uint32(a.next.Sub(a.start).Seconds()*48000)}
		s.packet.Payload = payload
		if a.level != nil {
			a.level(&s.packet, level)
		}
		a.seq++
		a.next = a.next.Add(every)
		s.sent.Add(1)
		if err := a.track(&s.packet); err != nil {
			return err
		}
	}
	return nil
}
