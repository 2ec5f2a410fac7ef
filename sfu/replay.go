package sfu

import (
	"slices"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
)

// replay keeps a room's last reliable data packets for those who were not
// reached: whose channel was not open yet, or who come back and say what they
// got last.
type replay struct {
	limit int           // bytes
	keep  time.Duration // and no longer

	mu      sync.Mutex
	packets []*reliable // guarded by mu; the oldest first
	bytes   int         // guarded by mu; of packets
}

// reliable is a data packet of a participant, numbered by its client: the
// numbers rise with each packet, whomever it is for.
type reliable struct {
	from *Participant
	Data
	to     map[string]struct{} // what To names, where that is much
	at     time.Time
	modest bool // its sender
}

func newReliable(from *Participant, data Data) *reliable {
	d := &reliable{from: from, Data: data, at: time.Now()}
	if len(data.To) <= 8 {
		return d
	}
	// A packet has room for thousands of names, each of which would be compared
	// with everybody's.
	d.to = make(map[string]struct{}, len(data.To))
	for _, name := range data.To {
		d.to[name] = struct{}{}
	}
	return d
}

func (d *reliable) isFor(p *Participant) bool {
	switch {
	case d.from == p:
		return false
	case d.to != nil:
		_, identity := d.to[p.identity]
		_, sid := d.to[p.sid]
		return identity || sid
	}
	return len(d.To) == 0 || slices.Contains(d.To, p.identity) || slices.Contains(d.To, p.sid)
}

func (r *replay) add(d *reliable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(d.Payload) > r.limit {
		return
	}
	r.packets = append(r.packets, d)
	r.bytes += len(d.Payload)
	gone := 0
	for r.bytes > r.limit || d.at.Sub(r.packets[gone].at) > r.keep {
		r.bytes -= len(r.packets[gone].Payload)
		gone++
	}
	r.packets = slices.Delete(r.packets, 0, gone)
}

// after lists the packets for p since it came that are numbered higher than
// the last that it has of their sender, by SID.
func (r *replay) after(p *Participant, last map[string]uint32) []*reliable {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*reliable
	for _, d := range r.packets {
		if d.isFor(p) && !d.at.Before(p.joinedAt) && d.Sequence > last[d.from.sid] {
			out = append(out, d)
		}
	}
	return out
}

// opened takes the channel of a kind as soon as it is open. What was said
// before is said now.
func (s *subscriber) opened(kind DataKind, dc *webrtc.DataChannel) {
	if kind != Reliable {
		s.data[kind].channel.Store(dc)
		return
	}
	d := &s.data[kind]
	d.mu.Lock()
	defer d.mu.Unlock()
	d.channel.Store(dc)
	s.sayAgainLocked(d.sent)
}

// deliver sends a numbered packet, unless it was sent before.
func (s *subscriber) deliver(p *reliable) {
	d := &s.data[Reliable]
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.Sequence > d.sent[p.from.sid] && s.sendData(Reliable, p.Payload, p.modest) {
		s.countLocked(p)
	}
}

// countLocked notes that p was sent. Senders who have left are forgotten in
// time.
func (s *subscriber) countLocked(p *reliable) {
	sent := s.data[Reliable].sent
	sent[p.from.sid] = max(sent[p.from.sid], p.Sequence)
	inside := *s.p.room.members.Load()
	if len(sent) <= 2*len(inside)+100 {
		return
	}
	kept := make(map[string]uint32, len(inside))
	for _, m := range inside {
		if n, ok := sent[m.sid]; ok {
			kept[m.sid] = n
		}
	}
	s.data[Reliable].sent = kept
}

// Replay sends again the reliable data packets that came after those that the
// client has got, by the number of the last of each sender's SID. Senders that
// it does not name it has nothing of.
func (p *Participant) Replay(last map[string]uint32) {
	d := &p.sub.data[Reliable]
	d.mu.Lock()
	defer d.mu.Unlock()
	p.sub.sayAgainLocked(last)
}

func (s *subscriber) sayAgainLocked(last map[string]uint32) {
	for _, p := range s.p.room.replay.after(s.p, last) {
		if !s.sendData(Reliable, p.Payload, true) {
			return // what follows must not overtake it
		}
		s.countLocked(p)
	}
}
