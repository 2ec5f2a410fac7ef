package sfu

import (
	"slices"
	"time"
)

const (
	// smallRoom is how many people hear of every change at once: there are not
	// enough of them to make it costly.
	smallRoom = 10
	// maxDeparted bounds whom a room remembers after they left.
	maxDeparted = 1000
)

// news is what a room's people have not been told of yet. In a full room it is
// gathered for Config.UpdateInterval: that many come in at once costs a
// message to each for all of them, not for each of them. It is owned by the
// room's run.
type news struct {
	changed []*Participant
	held    []*Participant // changed, and told of too much already
	gone    []departure
	arrived []*track         // that nobody receives before it was told of
	told    time.Time        // when last
	due     <-chan time.Time // nil: nothing waits

	departed map[string]departure // who left lately and is not back, by identity
}

// departure is somebody's end.
type departure struct {
	info   ParticipantInfo
	serial int // room.serial: who came later never saw them
	at     time.Time
}

// touch notes that p changed.
func (r *room) touch(p *Participant) {
	p.version++
	if !slices.Contains(r.news.changed, p) && !slices.Contains(r.news.held, p) {
		r.news.changed = append(r.news.changed, p)
	}
}

// arrive notes that media of t has come.
func (r *room) arrive(t *track) {
	if !slices.Contains(r.news.arrived, t) {
		r.news.arrived = append(r.news.arrived, t)
	}
}

// forget notes that p, whose place has ended, is gone.
func (r *room) forget(p *Participant) {
	n := &r.news
	gone := func(c *Participant) bool { return c == p }
	n.changed, n.held = slices.DeleteFunc(n.changed, gone), slices.DeleteFunc(n.held, gone)
	if p.perm.Hidden || r.closing {
		return
	}
	r.serial++
	d := departure{p.info(), r.serial, time.Now()}
	n.gone = append(n.gone, d)
	for identity, old := range n.departed {
		if len(n.departed) >= maxDeparted || d.at.Sub(old.at) > r.departedFor() {
			delete(n.departed, identity)
		}
	}
	n.departed[p.identity] = d
}

// departedFor is how long it may take until a client whose socket broke is
// back: until that is noticed, and then the time it has.
func (r *room) departedFor() time.Duration { return 2*r.sfu.cfg.ResumeWindow + 30*time.Second }

// goneLately lists who left since p joined and may not be known to have.
func (r *room) goneLately(p *Participant) []ParticipantInfo {
	var out []ParticipantInfo
	for _, d := range r.news.departed {
		if d.serial > p.since && time.Since(d.at) <= r.departedFor() {
			out = append(out, d.info)
		}
	}
	return out
}

// settle tells what there is to tell, or sees to it that it will be told.
func (r *room) settle() {
	n := &r.news
	switch {
	case len(n.changed) == 0 && len(n.gone) == 0 && !slices.ContainsFunc(n.arrived, r.mayArrive):
	case len(r.bySID) <= smallRoom:
		r.tell()
	case n.due == nil:
		wait := r.sfu.cfg.UpdateInterval - time.Since(n.told)
		if wait <= 0 {
			r.tell()
			return
		}
		n.due = time.After(wait)
	}
}

// tell tells everybody what has changed, and then offers the tracks that have
// come: a client must know of a track before an offer carries it.
func (r *room) tell() {
	n := &r.news
	n.due, n.told = nil, time.Now()
	r.hold()
	r.tellChanges()
	var arrived, later []*track
	for _, t := range n.arrived {
		if r.mayArrive(t) {
			arrived = append(arrived, t)
		} else {
			later = append(later, t)
		}
	}
	n.arrived = later
	for _, t := range arrived {
		if r.tracks[t.info.SID] != t {
			continue
		}
		for _, p := range r.bySID {
			r.subscribe(p, t)
		}
	}
	if slices.ContainsFunc(arrived, func(t *track) bool { return t.info.Kind == Video }) {
		r.lookAtMedia()
	}
}

// mayArrive tells whether t may be offered as soon as everybody has been told
// what there is to tell.
func (r *room) mayArrive(t *track) bool { return !slices.Contains(r.news.held, t.owner) }

// hold keeps back the changes of those of whom too much has been told, until
// the next time.
func (r *room) hold() {
	n := &r.news
	all := append(n.held, n.changed...)
	n.held, n.changed = nil, nil
	for _, p := range all {
		if p.told.take(float64(p.size()), n.told) {
			n.changed = append(n.changed, p)
		} else {
			n.held = append(n.held, p)
		}
	}
	if len(n.held) > 0 {
		n.due = time.After(max(r.sfu.cfg.UpdateInterval, tellPause))
	}
}

func (r *room) tellChanges() {
	n := &r.news
	if len(n.changed) == 0 && len(n.gone) == 0 {
		return
	}
	var seen []ParticipantInfo // by everybody; who left, then who changed
	for _, d := range n.gone {
		seen = append(seen, d.info)
	}
	for _, p := range n.changed {
		if !p.perm.Hidden {
			seen = append(seen, p.info())
		}
	}
	// Who came after somebody left must not hear of it: the same person may be
	// back, and clients know people by their identity alone.
	alike := make(map[int]EventParticipants) // by how many of the gone are left out
	for _, to := range r.bySID {
		skip := 0
		for skip < len(n.gone) && n.gone[skip].serial < to.since {
			skip++
		}
		e, ok := alike[skip]
		if !ok {
			e = EventParticipants{Participants: seen[skip:], Memo: &Memo{}}
			alike[skip] = e
		}
		if to.perm.Hidden && slices.Contains(n.changed, to) { // whom nobody else sees
			e = EventParticipants{Participants: append(slices.Clone(e.Participants), to.info())}
		}
		if len(e.Participants) > 0 {
			to.emit(e)
		}
	}
	clear(n.changed)
	n.changed, n.gone = n.changed[:0], nil
}
