package sfu

import (
	"slices"
	"time"
)

// SubscriptionPermission says who may receive a participant's tracks. Its zero
// value lets nobody.
type SubscriptionPermission struct {
	All    bool // everybody; the rest does not count
	Grants []TrackGrant
}

// TrackGrant lets one participant, named by its identity or else its SID,
// receive all tracks or some.
type TrackGrant struct {
	Identity, SID string
	All           bool
	Tracks        []string // SIDs
}

// access is a SubscriptionPermission that is quick to ask.
type access struct {
	byIdentity, bySID map[string]*grant
}

type grant struct {
	all    bool
	tracks map[string]bool
}

func newAccess(s SubscriptionPermission) *access {
	if s.All {
		return nil
	}
	a := &access{byIdentity: make(map[string]*grant), bySID: make(map[string]*grant)}
	for _, g := range s.Grants {
		into, key := a.byIdentity, g.Identity
		if key == "" {
			into, key = a.bySID, g.SID
		}
		if into[key] == nil {
			into[key] = &grant{tracks: make(map[string]bool)}
		}
		into[key].all = into[key].all || g.All
		for _, sid := range g.Tracks {
			into[key].tracks[sid] = true
		}
	}
	return a
}

func (g *grant) covers(trackSID string) bool { return g != nil && (g.all || g.tracks[trackSID]) }

// AllowSubscribers says who may receive the participant's tracks; until then
// everybody may. Who may not any more loses them at once, unless that changes all
// the time.
func (p *Participant) AllowSubscribers(s SubscriptionPermission) {
	p.room.post(accessSet{p, newAccess(s)})
}

type accessSet struct {
	p *Participant
	a *access
}

func (e accessSet) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p {
		return
	}
	p.asked = e.a
	if p.accessWaits != nil {
		return // with the one that waits
	}
	if !p.accesses.take(1, time.Now()) {
		p.accessWaits = time.AfterFunc(p.accesses.wait(1), func() { r.post(accessDue{p}) })
		return
	}
	r.access(p)
}

// accessDue says that what p asked for last need not wait any longer.
type accessDue struct{ p *Participant }

func (e accessDue) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p || p.accessWaits == nil {
		return
	}
	p.accessWaits = nil
	p.accesses.take(1, time.Now())
	r.access(p)
}

// access lets those receive p's tracks that p has asked for.
func (r *room) access(p *Participant) {
	p.access, p.asked = p.asked, nil
	for _, t := range p.tracks {
		for _, o := range r.bySID {
			r.subscribe(o, t)
		}
	}
}

// allowed tells whether p may receive t, whether or not it wants to.
func (r *room) allowed(p *Participant, t *track) bool {
	a := t.owner.access
	return p.perm.Subscribe && (a == nil || a.byIdentity[p.identity].covers(t.info.SID) || a.bySID[p.sid].covers(t.info.SID))
}

// tellAllowed tells p that it may not receive t, once, or may after all.
func (r *room) tellAllowed(p *Participant, t *track) {
	if t.owner == p || t.owner.perm.Hidden || !t.announced {
		return
	}
	sid, allowed := t.info.SID, r.allowed(p, t)
	switch {
	case !allowed && !p.refused[sid] && (p.perm.Subscribe || p.wanted[sid]): // its own permission says the rest
		p.refused[sid] = true
	case allowed && p.refused[sid]:
		p.refused[sid] = false
	default:
		return
	}
	p.emit(EventSubscriptionAllowed{TrackSID: sid, ParticipantSID: t.owner.sid, Allowed: allowed})
}

// permit changes what p may do. What it may not do any more ends. Hidden stays
// as it was: others would have to be told of a coming or going that is none.
func (r *room) permit(p *Participant, perm Permission) {
	perm.Hidden = p.perm.Hidden
	perm.Sources = slices.Clone(perm.Sources)
	p.perm = perm
	p.mayData.Store(perm.PublishData)
	for _, t := range p.tracks {
		if !perm.mayPublish(t.info.Kind, t.info.Source) {
			r.dropTrack(t)
			p.emit(EventTrackUnpublished{t.info.SID})
		}
	}
	for _, t := range r.tracks {
		r.subscribe(p, t)
	}
	r.touch(p)
}
