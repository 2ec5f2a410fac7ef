package sfu

import (
	"slices"
	"time"
)

const (
	// allocateEvery is how often a room looks again at what flows and who gets
	// what of it.
	allocateEvery = 100 * time.Millisecond
	// meterWindow is what a layer's bitrate is averaged over: longer than a
	// key frame takes.
	meterWindow = 1500 * time.Millisecond
	// lowerAfter is how long nobody must have wanted a layer before its
	// publisher is told that it may rest: windows are resized and tabs changed
	// back within seconds, and a layer that begins anew costs a key frame.
	lowerAfter = 5 * time.Second
	topRank    = 2 // of layers: 0 low, 1 medium, 2 high, or the only one
)

// meter averages the bitrate of a stream.
type meter struct {
	octets uint64
	bits   float64 // a second
	begun  bool
}

// take counts what has come since the last call.
func (m *meter) take(octets uint64, since time.Duration) {
	now := float64(octets-m.octets) * 8 / since.Seconds()
	m.octets = octets
	if !m.begun {
		m.begun, m.bits = true, now
		return
	}
	m.bits += (now - m.bits) * min(1, since.Seconds()/meterWindow.Seconds())
}

// wantedRank is the highest layer of the track that a subscriber with these
// settings has use for, -1 for none. A tile is served by the smallest layer
// that is not smaller than it.
func (t *track) wantedRank(s TrackSettings) int {
	switch {
	case s.Disabled:
		return -1
	case s.Width == 0 && s.Height == 0:
		return min(int(s.Quality), topRank)
	case len(t.info.Layers) == 0:
		return topRank
	}
	side := min(s.Width, s.Height)
	layers := slices.SortedFunc(slices.Values(t.info.Layers), func(a, b VideoLayer) int { return int(a.Quality) - int(b.Quality) })
	for _, l := range layers {
		if 10*min(l.Width, l.Height) >= 9*side { // nobody sees a tenth
			return int(l.Quality)
		}
	}
	return topRank
}

// layerFor is the layer to send to somebody who wants none above rank: the
// best that flows, or else the least of those above.
func (t *track) layerFor(rank int, now int64) *layer {
	var pick *layer
	for _, l := range *t.layers.Load() { // the lowest first
		if !l.flows(now) || pick != nil && l.rank > rank {
			continue
		}
		pick = l
	}
	return pick
}

// allocateAll is the room's regular look at its media.
func (r *room) allocateAll() {
	at := time.Now()
	now, since := int64(at.Sub(clockBase)), at.Sub(r.allocated)
	if since < allocateEvery/4 {
		return // a tick that waited, and the next
	}
	r.allocated = at
	video := false
	for _, t := range r.tracks {
		for _, l := range *t.layers.Load() {
			l.rate.take(l.octets.Load(), since)
		}
		video = video || t.info.Kind == Video
	}
	for _, p := range r.bySID {
		r.allocate(p, now)
	}
	for _, t := range r.tracks {
		if t.info.Kind == Video {
			r.tellQuality(t, at)
		}
	}
	if !video {
		r.allocations.Stop()
		r.allocations = nil
	}
}

// allocate decides which layers p gets.
func (r *room) allocate(p *Participant, now int64) {
	for _, d := range p.subs {
		if d.track.info.Kind == Video {
			d.aim(d.track.layerFor(d.track.wantedRank(d.settings), now))
		}
	}
}

// tellQuality tells a publisher which layers anybody wants (dynacast): more at
// once, less when it has been so for a while.
func (r *room) tellQuality(t *track, now time.Time) {
	if t.info.MimeType == "" {
		return // published muted: there is nothing to send less of
	}
	want := -1
	for _, p := range r.bySID {
		if d, ok := p.subs[t.info.SID]; ok {
			want = max(want, t.wantedRank(d.settings))
		}
	}
	switch {
	case want >= t.quality.told:
		t.quality.since = time.Time{}
		if want == t.quality.told {
			return
		}
	case t.quality.since.IsZero():
		t.quality.since = now
		return
	case now.Sub(t.quality.since) < lowerAfter:
		return
	}
	t.quality.told, t.quality.since = want, time.Time{}
	c := SubscribedCodec{MimeType: t.info.MimeType}
	for rank := range topRank + 1 {
		c.Layers = append(c.Layers, SubscribedLayer{Quality: uint8(rank), Wanted: rank <= want})
	}
	t.owner.emit(EventSubscribedQuality{TrackSID: t.info.SID, Codecs: []SubscribedCodec{c}})
}
