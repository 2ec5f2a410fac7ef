package sfu

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// Quality is how well media gets through to a participant and from it.
type Quality uint8

// The qualities. Lost means that there is no media connection; a client is
// never told that of itself, since it would join anew.
const (
	QualityPoor Quality = iota
	QualityGood
	QualityExcellent
	QualityLost
)

// ParticipantQuality is the quality of one participant.
type ParticipantQuality struct {
	SID     string
	Quality Quality
	Score   float32 // from 1 to 5, as opinions are scored
}

// Above these a connection is no longer excellent, or good.
const (
	lossGood, lossPoor = 0.02, 0.08
	rttGood, rttPoor   = 400 * time.Millisecond, time.Second
)

// transit is what has become of packets on the way.
type transit struct {
	due, lost uint32
	rtt       time.Duration // 0: not known
	silent    bool          // nothing comes that should
	held      bool          // a stream is held back for want of bandwidth
}

func (t *transit) add(o transit) {
	t.due += o.due
	t.lost += o.lost
	t.rtt = max(t.rtt, o.rtt)
	t.silent = t.silent || o.silent
	t.held = t.held || o.held
}

func (t *transit) rate() (Quality, float32) {
	loss := 0.0
	if t.due > 0 {
		loss = float64(t.lost) / float64(t.due)
	}
	score := float32(min(5, max(1, 4.6-25*loss-1.5*max(0, t.rtt.Seconds()-0.15))))
	switch {
	case t.silent:
		return QualityPoor, 1
	case loss > lossPoor || t.rtt > rttPoor:
		return QualityPoor, score
	case loss > lossGood || t.rtt > rttGood || t.held:
		return QualityGood, score
	default:
		return QualityExcellent, score
	}
}

// receipts sums what a subscriber's receiver reports say of one stream (RFC
// 3550, 6.4.1).
type receipts struct {
	mu sync.Mutex
	// Guarded by mu.
	sr      time.Time // when the last sender report went out
	srID    uint32    // middle bits of its time, by which reports name it
	heard   bool
	highest uint32
	lost    int32
	since   transit // the last take
}

// sent notes a sender report that goes out now.
func (r *receipts) sent(ntp uint64, now time.Time) {
	r.mu.Lock()
	r.srID, r.sr = uint32(ntp>>16), now
	r.mu.Unlock()
}

// received takes a report of the stream.
func (r *receipts) received(b *rtcp.ReceptionReport, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := int32(b.TotalLost<<8) >> 8 // 24 bits with a sign
	if due := b.LastSequenceNumber - r.highest; r.heard && due < 1<<16 {
		r.since.due += due
		if lost := total - r.lost; lost > 0 {
			r.since.lost += min(uint32(lost), due)
		}
	}
	r.heard, r.highest, r.lost = true, b.LastSequenceNumber, total
	if b.LastSenderReport != 0 && b.LastSenderReport == r.srID {
		if rtt := now.Sub(r.sr) - time.Duration(b.Delay)*time.Second/65536; rtt > 0 {
			r.since.rtt = max(r.since.rtt, rtt)
		}
	}
}

func (r *receipts) take() transit {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.since
	r.since = transit{}
	return out
}

// take returns what came of a publisher's stream since the last call.
func (r *reception) take() transit {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		return transit{}
	}
	due, got := r.highest-r.base+1-r.taken.expected, r.received-r.taken.received
	r.taken.expected, r.taken.received = r.highest-r.base+1, r.received
	out := transit{due: due, silent: got == 0}
	if due > got {
		out.lost = due - got
	}
	return out
}

// note takes a report of the subscriber.
func (d *downTrack) note(blocks []rtcp.ReceptionReport) {
	d.mu.Lock()
	ssrc := d.out.ssrc
	d.mu.Unlock()
	for i := range blocks {
		if blocks[i].SSRC == ssrc {
			d.receipts.received(&blocks[i], time.Now())
		}
	}
}

// unmutedFor tells whether t has not been muted for a while.
func (t *track) unmutedFor(d time.Duration) bool { return time.Since(t.unmuted) > d }

// fare tells how p's media fared since the last call.
func (r *room) fare(p *Participant) transit {
	var t transit
	for _, d := range p.subs {
		t.add(d.receipts.take())
		t.held = t.held || d.held
	}
	for _, own := range p.tracks {
		for _, l := range *own.layers.Load() {
			up := l.rx.take()
			// Sound without any packet has stalled, even where silence is not sent;
			// a picture may have no viewer.
			up.silent = up.silent && own.info.Kind == Audio && !own.info.Muted && own.unmutedFor(r.sfu.cfg.QualityInterval)
			t.add(up)
		}
	}
	return t
}

// lookAtQuality tells everybody whose quality has changed, and those who came
// since the last time how everybody fares; and how many are inside. Quality
// falls at once and rises step by step.
func (r *room) lookAtQuality() {
	var changed, all []ParticipantQuality
	lost := make(map[*Participant]bool)
	for _, p := range r.bySID {
		if p.state != Active {
			continue
		}
		t := r.fare(p)
		now, score := t.rate()
		was := p.quality
		switch {
		case p.media != nil:
			now, score = QualityLost, 0
			lost[p] = true
		case p.rated && was != QualityLost && now > was:
			now = was + 1
		}
		q := ParticipantQuality{SID: p.sid, Quality: now, Score: score}
		if !p.rated || now != was {
			p.rated, p.quality = true, now
			if !p.perm.Hidden {
				changed = append(changed, q)
			}
		}
		if !p.perm.Hidden {
			all = append(all, q)
		}
	}
	told, full := EventQuality{Qualities: changed, Memo: &Memo{}}, EventQuality{Qualities: all, Memo: &Memo{}}
	for _, p := range r.bySID {
		e := told
		if !p.toldQuality {
			p.toldQuality, e = true, full
		}
		if lost[p] {
			e = e.without(p.sid)
		}
		if len(e.Qualities) > 0 {
			p.emit(e)
		}
	}
	if i := r.info(); r.counted != [2]int{i.Participants, i.Publishers} {
		r.counted = [2]int{i.Participants, i.Publishers}
		r.tellRoom()
	}
}

func (e EventQuality) without(sid string) EventQuality {
	out := EventQuality{}
	for _, q := range e.Qualities {
		if q.SID != sid {
			out.Qualities = append(out.Qualities, q)
		}
	}
	return out
}
