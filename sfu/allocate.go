package sfu

import (
	"cmp"
	"slices"
	"time"

	"commsd/sfu/bandwidth"
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
	// learnTime is what a client takes at most to know a track that it has agreed
	// to.
	learnTime = 500 * time.Millisecond
	topRank   = 2 // of layers: 0 low, 1 medium, 2 high, or the only one
)

// meter averages the bitrate of a stream, or how often something else comes that
// is counted in place of octets.
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

// perSecond is how many of what is counted come in a second.
func (m *meter) perSecond() float64 { return m.bits / 8 }

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
			l.measure(since)
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

// usualRates are what layers take that have not been measured yet, in bits a
// second, by rank.
var usualRates = [topRank + 1]uint64{150_000, 500_000, 1_700_000}

// rateOf is the bitrate to reckon with for a layer.
func (t *track) rateOf(l *layer) uint64 {
	if l.rate.bits > 0 {
		return uint64(l.rate.bits)
	}
	for _, v := range t.info.Layers {
		if int(v.Quality) == l.rank && v.Bitrate > 0 {
			return uint64(v.Bitrate)
		}
	}
	return usualRates[l.rank]
}

// allocate divides what p's connection carries among the tracks that p wants.
func (r *room) allocate(p *Participant, now int64) {
	var reserve uint64
	r.order = r.order[:0]
	for _, d := range p.subs {
		if d.track.info.Kind == Video {
			r.order = append(r.order, d)
			continue
		}
		for _, l := range *d.track.layers.Load() {
			reserve += uint64(l.rate.bits)
		}
	}
	if len(r.order) == 0 {
		p.sub.congestion.wanted.Store(0)
		return
	}
	slices.SortFunc(r.order, func(a, b *downTrack) int {
		return cmp.Or(cmp.Compare(r.priorityOf(a), r.priorityOf(b)), cmp.Compare(a.settings.Priority, b.settings.Priority), cmp.Compare(a.id, b.id))
	})
	r.asked, r.steps = r.asked[:0], r.steps[:0]
	for _, d := range r.order {
		a, steps := r.ask(d, now)
		r.asked, r.steps = append(r.asked, a), append(r.steps, steps)
	}
	c := p.sub.congestion
	got := c.allocator.Allocate(now, c.budget(now, reserve), r.asked)
	c.wanted.Store(got.Wanted)
	var states []StreamState
	for i, d := range r.order {
		a := r.asked[i]
		var to step
		if a.Layer != bandwidth.Paused {
			to = r.steps[i][a.Layer]
		}
		d.aim(to.layer, to.tid)
		// What does not flow is neither held back nor sent: its client stays with
		// what it was told.
		held := a.Layer == bandwidth.Paused
		if flows := a.Bitrates != [bandwidth.MaxLayers]uint64{}; flows && held != d.held && d.known(now) {
			d.held = held
			states = append(states, d.streamState())
		}
	}
	if len(states) > 0 {
		p.emit(EventStreamState{states})
	}
}

// known tells whether the client has had the time to learn of the track: what it
// is told of one that it does not know it passes over.
func (d *downTrack) known(now int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writer != nil && now-d.boundAt >= int64(learnTime)
}

// streamState tells whether the track is held back.
func (d *downTrack) streamState() StreamState {
	return StreamState{TrackSID: d.id, ParticipantSID: d.track.owner.sid, Paused: d.held}
}

// priorityOf says who is served first: what is shown to all, then who speaks.
func (r *room) priorityOf(d *downTrack) bandwidth.Priority {
	switch _, speaks := r.speaking[d.track.owner]; {
	case d.track.info.Source == SourceScreenShare:
		return bandwidth.ScreenShare
	case speaks:
		return bandwidth.Speaker
	}
	return bandwidth.Other
}

// ask is what a subscriber asks of a track, and what the layers it asks for are:
// those of the track and, below the lowest, that one with fewer of its temporal
// layers.
func (r *room) ask(d *downTrack, now int64) (a bandwidth.Track, steps [bandwidth.MaxLayers]step) {
	rank := d.track.wantedRank(d.settings)
	a = bandwidth.Track{Priority: r.priorityOf(d), Max: bandwidth.Paused, Current: bandwidth.Paused, Held: d.held}
	pick := d.track.layerFor(rank, now)
	if rank < 0 || pick == nil {
		return a, steps
	}
	aimed := d.aimed()
	add := func(l *layer, tid uint8) {
		if a.Max+1 == len(steps) {
			return
		}
		a.Max++
		steps[a.Max] = step{l, tid}
		a.Bitrates[a.Max] = max(1, uint64(float64(d.track.rateOf(l))*l.share(tid)))
		if l == aimed.layer && (tid <= aimed.tid || a.Current == bandwidth.Paused) {
			a.Current = a.Max
		}
	}
	for _, l := range *d.track.layers.Load() {
		if l.rank > pick.rank || !l.flows(now) { // above what is wanted, where nothing else flows
			continue
		}
		top := l.enough(d.settings.FPS, aimed)
		if a.Max == bandwidth.Paused {
			for tid := range top {
				if share := l.share(tid); share > 0 && share < l.share(top) {
					add(l, tid)
				}
			}
		}
		add(l, top)
	}
	return a, steps
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
	t.owner.emit(t.subscribedQuality())
}

// subscribedQuality is what t's publisher was told last.
func (t *track) subscribedQuality() EventSubscribedQuality {
	c := SubscribedCodec{MimeType: t.info.MimeType}
	for rank := range topRank + 1 {
		c.Layers = append(c.Layers, SubscribedLayer{Quality: uint8(rank), Wanted: rank <= t.quality.told})
	}
	return EventSubscribedQuality{TrackSID: t.info.SID, Codecs: []SubscribedCodec{c}}
}
