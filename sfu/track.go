package sfu

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// track is one published track: its layers, and who receives it.
type track struct {
	// Set at construction.
	owner    *Participant
	voice    bool // a microphone: heard while it is among the loudest
	audio    audioLevel
	loudness loudness

	// Written by the room's run, read by the layers.
	layers atomic.Pointer[[]*layer]
	subs   atomic.Pointer[[]*downTrack]
	muted  atomic.Bool

	// Owned by the room's run.
	info      TrackInfo
	unmuted   time.Time // when last, or muted
	announced bool      // others know of it
	heard     bool      // somebody has received it
	silenced  bool      // muted by the server, and not unmuted since
	quality   struct {
		told  int       // the highest layer that its publisher was told to send, -1 for none
		since time.Time // less has been wanted; zero when it is not so
	}
}

func newTrack(owner *Participant, info TrackInfo) *track {
	t := &track{owner: owner, info: info, voice: info.Kind == Audio && info.Source != SourceScreenShareAudio}
	t.layers.Store(&[]*layer{})
	t.subs.Store(&[]*downTrack{})
	t.muted.Store(info.Muted)
	t.quality.told = topRank // publishers send everything until they are told
	return t
}

// The lists are copied on write, so that forwarding takes no lock.

func (t *track) addSub(d *downTrack) {
	subs := append(slices.Clone(*t.subs.Load()), d)
	t.subs.Store(&subs)
}

func (t *track) removeSub(d *downTrack) {
	subs := slices.DeleteFunc(slices.Clone(*t.subs.Load()), func(o *downTrack) bool { return o == d })
	t.subs.Store(&subs)
}

func (t *track) addLayer(l *layer) {
	layers := append(slices.Clone(*t.layers.Load()), l)
	slices.SortFunc(layers, func(a, b *layer) int { return a.rank - b.rank })
	t.layers.Store(&layers)
}

func (t *track) removeLayer(l *layer) {
	layers := slices.DeleteFunc(slices.Clone(*t.layers.Load()), func(o *layer) bool { return o == l })
	t.layers.Store(&layers)
}

type trackAdded struct {
	p    *Participant
	info TrackInfo
}

func (e trackAdded) apply(r *room) {
	p, info := e.p, e.info
	if r.bySID[p.sid] != p {
		return
	}
	for _, t := range p.tracks {
		if t.info.CID == info.CID { // said twice: a client that resumed
			p.emit(EventTrackPublished{CID: info.CID, Track: t.info})
			return
		}
	}
	switch {
	case !p.perm.mayPublish(info.Kind, info.Source):
		p.emit(EventTrackRefused{CID: info.CID, Reason: "publishing this source is not permitted"})
		return
	case len(p.tracks) >= maxTracks:
		p.emit(EventTrackRefused{CID: info.CID, Limit: true, Reason: "too many tracks"})
		return
	}
	info.SID = newID("TR_")
	info.MID = p.midOf(info.CID)
	info.Published = time.Now()
	info.Version = 1
	t := newTrack(p, info)
	r.tracks[info.SID], p.tracks[info.SID] = t, t
	r.published.Store(int32(len(r.tracks)))
	p.emit(EventTrackPublished{CID: info.CID, Track: info})
	// A track published muted has no media yet; others must know of it anyway.
	if info.Muted {
		t.announced = true
		r.touch(p)
	}
	// An offer may have come first.
	waiting := p.unmatched
	p.unmatched = nil
	for _, l := range waiting {
		mediaArrived{p, l}.apply(r)
	}
}

// mediaArrived brings the first packets of a layer.
type mediaArrived struct {
	p *Participant
	l *layer
}

func (e mediaArrived) apply(r *room) {
	p, l := e.p, e.l
	if r.bySID[p.sid] != p {
		return
	}
	if !l.known || (l.codec == codecOpus) != (l.kind == Audio) {
		return // pictures in a section of sound, say: nobody could be sent them
	}
	t := p.trackFor(l)
	if t == nil {
		if len(p.unmatched) < 3*maxTracks {
			p.unmatched = append(p.unmatched, l)
		}
		return
	}
	if len(*t.layers.Load()) >= maxLayers {
		return // each keeps its packets for a while
	}
	if len(*t.layers.Load()) == 0 && !p.arrivals.take(1, time.Now()) {
		time.AfterFunc(p.arrivals.wait(1), func() { r.post(e) })
		return
	}
	l.track = t
	l.lastSeen.CompareAndSwap(0, int64(time.Since(clockBase))) // its first packets wait to be read
	t.addLayer(l)
	t.info.MID, t.info.MimeType = l.mid, l.codec.mime()
	t.info.Version++
	t.announced = true
	p.publishing = true
	r.touch(p)
	l.start()
	if t.info.Kind == Audio && r.speakers == nil {
		r.speakers = time.NewTicker(r.sfu.cfg.SpeakerInterval)
	}
	r.arrive(t)
}

// lookAtMedia sees to it that the room's media is looked at: now, and from time
// to time.
func (r *room) lookAtMedia() {
	if r.allocations == nil {
		r.allocated = time.Now()
		r.allocations = time.NewTicker(allocateEvery)
	}
	now := int64(time.Since(clockBase))
	for _, p := range r.bySID {
		r.allocate(p, now)
	}
}

// trackFor finds the announced track that l belongs to: by its client id, or
// as a further layer of a section, or as the only one of its kind that waits
// (a client may send another id in SDP than in AddTrack).
func (p *Participant) trackFor(l *layer) *track {
	var only *track
	waiting := 0
	for _, t := range p.tracks {
		if t.info.Kind != l.kind {
			continue
		}
		if t.info.CID == l.cid || t.info.MID != "" && t.info.MID == l.mid {
			return t
		}
		if t.info.MimeType == "" { // nor had any before: it may be on its way out
			only = t
			waiting++
		}
	}
	if waiting == 1 {
		return only
	}
	return nil
}

type layerEnded struct {
	p *Participant
	l *layer
}

func (e layerEnded) apply(r *room) {
	if t := e.l.track; t != nil {
		t.removeLayer(e.l)
	}
	e.p.unmatched = slices.DeleteFunc(e.p.unmatched, func(l *layer) bool { return l == e.l })
}

// offerApplied tells which sections of the publisher connection still send: a
// client unpublishes by closing the track's section.
type offerApplied struct {
	p        *Participant
	sections map[string]section // by MID
}

func (e offerApplied) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p {
		return
	}
	p.sections = e.sections
	for _, t := range p.tracks {
		if t.info.MID == "" { // no media yet; published muted, it may never send any
			t.info.MID = p.midOf(t.info.CID)
		}
		if t.info.MID != "" && !e.sections[t.info.MID].sending {
			r.dropTrack(t)
			r.touch(p)
		}
	}
}

// midOf finds the section of the last offer that carries the track of the
// given client id, "" when there is none yet.
func (p *Participant) midOf(cid string) string {
	for mid, s := range p.sections {
		if s.sending && s.cid == cid && cid != "" {
			return mid
		}
	}
	return ""
}

type trackMuted struct {
	p     *Participant
	sid   string
	muted bool
}

func (e trackMuted) apply(r *room) {
	if t := e.p.tracks[e.sid]; t != nil && t.info.Muted != e.muted {
		t.silenced = false
		r.mute(t, e.muted)
	}
}

// mute mutes or unmutes t for everybody.
func (r *room) mute(t *track, muted bool) {
	t.info.Muted = muted
	t.unmuted = time.Now()
	t.info.Version++
	// Nothing is taken in between the two steps, either way: what a subscriber
	// gets next starts anew, and no number it may ask for stands for a packet that
	// was sent while muted. What lanes had when it was muted they still send; at
	// the latest unmuting, which pauses again, has them start anew.
	if muted {
		t.muted.Store(true)
	}
	for _, d := range *t.subs.Load() {
		d.pause()
	}
	t.muted.Store(muted)
	r.touch(t.owner)
}

type trackUpdated struct {
	p      *Participant
	sid    string
	change func(*TrackInfo)
}

func (e trackUpdated) apply(r *room) {
	t := e.p.tracks[e.sid]
	if t == nil {
		return
	}
	e.change(&t.info)
	t.info.Version++
	if t.announced {
		r.touch(e.p)
	}
}

// Published says which tracks the client believes to publish. Those that the
// room does not know are taken away from it.
func (p *Participant) Published(trackSIDs []string) { p.room.post(believed{p, trackSIDs}) }

type believed struct {
	p    *Participant
	sids []string
}

func (e believed) apply(r *room) {
	if r.bySID[e.p.sid] != e.p {
		return
	}
	for _, sid := range e.sids {
		if e.p.tracks[sid] == nil && strings.HasPrefix(sid, "TR_") {
			e.p.emit(EventTrackUnpublished{sid})
		}
	}
}

type subscribed struct {
	p    *Participant
	sids []string
	on   bool
}

func (e subscribed) apply(r *room) {
	if r.bySID[e.p.sid] != e.p {
		return
	}
	for _, sid := range e.sids {
		t := r.tracks[sid]
		if t == nil || t.owner.perm.Hidden {
			if e.on && strings.HasPrefix(sid, "TR_") {
				e.p.emit(EventSubscriptionFailed{TrackSID: sid})
			}
			continue
		}
		e.p.wanted[sid] = e.on
		if e.on {
			delete(e.p.refused, sid) // who asks again is told again
			delete(e.p.unplayable, sid)
		}
		r.subscribe(e.p, t)
	}
	r.allocate(e.p, int64(time.Since(clockBase)))
}

type trackSet struct {
	p    *Participant
	sids []string
	s    TrackSettings
}

func (e trackSet) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p {
		return
	}
	for _, sid := range e.sids {
		t := r.tracks[sid]
		if t == nil {
			continue
		}
		p.settings[sid] = e.s // may come before the subscription
		if d := p.subs[sid]; d != nil {
			d.settings = e.s
			d.turn(e.s.Disabled)
			if t.info.Kind == Video {
				r.tellQuality(t, time.Now())
			}
		}
	}
	r.allocate(p, int64(time.Since(clockBase)))
}
