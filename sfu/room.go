package sfu

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"commsd/sfu/bandwidth"
)

const roomQueue = 256

// reachedAfter is by when a participant has media, on any network that lets it
// through.
const reachedAfter = 5 * time.Second

// room is one meeting. Its loop alone touches what it owns; everybody else
// posts events.
type room struct {
	// Set at construction.
	sfu     *SFU
	log     *slog.Logger
	name    string
	sid     string
	created time.Time
	replay  *replay
	events  chan event
	done    chan struct{} // closed when the loop has ended
	loudest *loudest

	// Guarded by sfu.mu.
	expected int // joins and calls that the loop has not seen

	// Written by run, read by anyone.
	members   atomic.Pointer[[]*Participant]
	published atomic.Int32 // len(tracks)

	// Owned by run.
	bySID      map[string]*Participant
	byIdentity map[string]*Participant
	tracks     map[string]*track
	news       news
	serial     int  // counts joins and departures
	closing    bool // everybody goes: nobody is left to be told of it
	speaking   map[*Participant]Speaker
	speakers   *time.Ticker // while there is audio
	options    RoomOptions
	made       bool         // by CreateRoom: it outlives its last participant for a while
	empty      *time.Timer  // while a made room has nobody
	waits      int          // count of timers empty has had
	counted    [2]int       // participants and publishers, as everybody was told
	beat       *time.Ticker // that the quality is looked at by; from the first participant on
	visited    bool         // somebody has been inside
	ended      func()       // called at its end; may be nil

	allocations *time.Ticker // while there is video
	allocated   time.Time    // when its media was last looked at
	order       []*downTrack // scratch of allocate
	asked       []bandwidth.Track
	steps       [][bandwidth.MaxLayers]step // of what asked's layers are
}

// event changes a room. apply runs on the room's loop and must not block.
type event interface{ apply(r *room) }

func newRoom(s *SFU, name string) *room {
	r := &room{
		loudest: &loudest{most: s.cfg.MaxVoices}, sfu: s, name: name, sid: newID("RM_"), created: time.Now(),
		events: make(chan event, roomQueue), done: make(chan struct{}),
		bySID: make(map[string]*Participant), byIdentity: make(map[string]*Participant),
		tracks: make(map[string]*track), speaking: make(map[*Participant]Speaker),
	}
	r.replay = &replay{limit: s.cfg.ReplayBytes, keep: r.departedFor()}
	r.news.departed = make(map[string]departure)
	r.log = s.log.With("room", name)
	r.members.Store(&[]*Participant{})
	return r
}

// post hands the loop an event. It reports false when the room has ended. It
// must not be called from the loop itself.
func (r *room) post(e event) bool {
	select {
	case r.events <- e:
		return true
	case <-r.done:
		return false
	}
}

// hint is post for what the room finds out by itself a little later: a full
// queue loses it.
func (r *room) hint(e event) {
	select {
	case r.events <- e:
	default:
	}
}

// run is the room's loop. It ends when nobody is left and nobody is coming.
func (r *room) run() {
	defer close(r.done)
	defer r.sfu.metrics.rooms.Dec()
	r.log.Info("room opened", "sid", r.sid)
	for {
		r.step()
		if len(r.bySID) == 0 && !r.keep() && r.retire() {
			for _, t := range []*time.Ticker{r.speakers, r.allocations, r.beat} {
				if t != nil {
					t.Stop()
				}
			}
			if r.empty != nil {
				r.empty.Stop()
			}
			if r.ended != nil {
				r.ended()
			}
			r.log.Info("room closed", "sid", r.sid, "lasted", time.Since(r.created).Round(time.Second))
			return
		}
	}
}

// step waits for something to happen and deals with it.
func (r *room) step() {
	defer r.recovered()
	var speakers, allocations, beat <-chan time.Time
	if r.beat != nil {
		beat = r.beat.C
	}
	if r.speakers != nil {
		speakers = r.speakers.C
	}
	if r.allocations != nil {
		allocations = r.allocations.C
	}
	select {
	case e := <-r.events:
		e.apply(r)
	case <-speakers:
		r.tellSpeakers()
	case <-r.news.due:
		r.tell()
	case <-beat:
		r.lookAtQuality()
	case <-allocations:
		r.allocateAll()
	}
	r.settle()
}

// recovered is deferred: a panic ends this room, whose people join again into a
// new one, and no other.
func (r *room) recovered() {
	v := recover()
	if v == nil {
		return
	}
	r.panicked(v)
	r.closing, r.made = true, false
	for _, p := range r.bySID {
		r.abandon(p)
	}
	r.closing = false
	r.news = news{departed: make(map[string]departure)}
	// Who is on the way in finds nobody, and nothing that nobody sends.
	clear(r.byIdentity)
	clear(r.tracks)
	clear(r.speaking)
	r.published.Store(0)
	r.publishMembers()
}

func (r *room) panicked(v any) {
	r.sfu.metrics.panics.Inc()
	r.log.Error("panic in a room", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// abandon ends p's place though the room's books may not be in order.
func (r *room) abandon(p *Participant) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			delete(r.bySID, p.sid)
			p.stopTimers()
			p.emit(EventLeft{Reason: ReasonMediaFailure, Action: ActionReconnect})
			r.release(p)
		}
	}()
	r.leave(p, ReasonMediaFailure, ActionReconnect)
}

// retire takes the room out of the map unless somebody is on the way in.
func (r *room) retire() bool {
	r.sfu.mu.Lock()
	defer r.sfu.mu.Unlock()
	if r.expected > 0 {
		return false
	}
	delete(r.sfu.rooms, r.name)
	return true
}

func (r *room) info() RoomInfo {
	i := RoomInfo{SID: r.sid, Name: r.name, Created: r.created, RoomOptions: r.options}
	for _, p := range r.bySID {
		if !p.perm.Hidden {
			i.Participants++
			if len(p.tracks) > 0 {
				i.Publishers++
			}
		}
	}
	return i
}

// othersOf lists whom p may see.
func (r *room) othersOf(p *Participant) []ParticipantInfo {
	var out []ParticipantInfo
	for _, o := range r.bySID {
		if o != p && !o.perm.Hidden {
			out = append(out, o.info())
		}
	}
	slices.SortFunc(out, func(a, b ParticipantInfo) int { return a.JoinedAt.Compare(b.JoinedAt) })
	return out
}

func (r *room) publishMembers() {
	all := make([]*Participant, 0, len(r.bySID))
	for _, p := range r.bySID {
		all = append(all, p)
	}
	r.members.Store(&all)
	r.sfu.changes.add(r.name)
}

// leave ends p's place.
func (r *room) leave(p *Participant, reason Reason, action Action) {
	if r.bySID[p.sid] != p {
		return
	}
	delete(r.bySID, p.sid)
	if r.byIdentity[p.identity] == p {
		delete(r.byIdentity, p.identity)
	}
	delete(r.speaking, p)
	r.publishMembers()
	for _, t := range p.tracks {
		r.dropTrack(t)
	}
	for _, d := range p.subs {
		d.track.removeSub(d)
	}
	clear(p.subs)
	p.stopTimers()
	p.mayData.Store(false)
	r.sfu.metrics.participants.Dec()
	r.log.Info("participant left", "identity", p.identity, "sid", p.sid, "reason", reason.String())
	if p.state != Active && time.Since(p.joinedAt) >= reachedAfter {
		r.sfu.metrics.unreached.Inc()
		r.log.Warn("participant had no media: its network may block the media ports, or they are told by the wrong address", "identity", p.identity, "sid", p.sid)
	}
	p.state, p.reason = Disconnected, reason
	p.version++
	r.forget(p)
	p.emit(EventLeft{Reason: reason, Action: action})
	r.release(p)
}

// release closes the connections of a participant who has no place.
func (r *room) release(p *Participant) {
	r.sfu.running.Add(1) // the loop is counted too, so Run still waits
	go func() {
		defer r.sfu.running.Done()
		p.close()
	}()
}

// wants tells whether p is to receive t.
func (r *room) wants(p *Participant, t *track) bool {
	if t.owner == p || t.owner.perm.Hidden || len(*t.layers.Load()) == 0 || !r.allowed(p, t) || p.unplayable[t.info.SID] {
		return false
	}
	if wanted, said := p.wanted[t.info.SID]; said {
		return wanted
	}
	return p.autoSubscribe
}

// subscribe begins or ends what p receives of t, as p wants it.
func (r *room) subscribe(p *Participant, t *track) {
	if slices.Contains(r.news.arrived, t) {
		return // tell comes back to it, once everybody knows of the track
	}
	r.tellAllowed(p, t)
	d, has := p.subs[t.info.SID]
	switch want := r.wants(p, t); {
	case want && !has:
		d = newDownTrack(p, t)
		p.subs[t.info.SID] = d
		t.addSub(d)
		p.sub.add(d)
		if !t.heard {
			t.heard = true
			t.owner.emit(EventTrackSubscribed{t.info.SID})
		}
	case !want && has:
		delete(p.subs, t.info.SID)
		t.removeSub(d)
		p.sub.remove(d)
	}
}

// dropTrack takes t away from everybody.
func (r *room) dropTrack(t *track) {
	r.loudest.remove(t)
	delete(r.tracks, t.info.SID)
	r.published.Store(int32(len(r.tracks)))
	delete(t.owner.tracks, t.info.SID)
	for _, p := range r.bySID {
		if d, ok := p.subs[t.info.SID]; ok {
			delete(p.subs, t.info.SID)
			t.removeSub(d)
			p.sub.remove(d)
		}
		delete(p.wanted, t.info.SID)
		delete(p.settings, t.info.SID)
		delete(p.refused, t.info.SID)
		delete(p.unplayable, t.info.SID)
	}
}

type joined struct{ p *Participant }

func (e joined) apply(r *room) {
	r.sfu.mu.Lock()
	r.expected--
	draining := r.sfu.draining
	r.sfu.mu.Unlock()
	p := e.p
	if draining { // the room was told to close before this came in
		p.emit(EventLeft{Reason: ReasonShutdown, Action: ActionReconnect})
		r.release(p)
		return
	}
	if old := r.byIdentity[p.identity]; old != nil {
		r.leave(old, ReasonDuplicate, ActionDisconnect)
	}
	if most := r.options.MaxParticipants; len(r.bySID) >= r.sfu.cfg.MaxParticipants || most > 0 && len(r.bySID) >= most {
		p.emit(EventLeft{Reason: ReasonRoomFull, Action: ActionDisconnect})
		r.release(p)
		return
	}
	p.state, p.version = Joined, 1
	r.occupy()
	if r.beat == nil {
		r.beat = time.NewTicker(r.sfu.cfg.QualityInterval)
	}
	r.serial++
	p.since = r.serial
	delete(r.news.departed, p.identity)
	r.bySID[p.sid], r.byIdentity[p.identity] = p, p
	r.publishMembers()
	r.sfu.metrics.participants.Inc()
	r.log.Info("participant joined", "identity", p.identity, "sid", p.sid)
	p.emit(EventJoined{Room: r.info(), Self: p.info(), Others: r.othersOf(p)})
	r.touch(p)
	p.armMedia()
	p.sub.start()
	if first := p.first; first != nil {
		p.first = nil
		if !p.pub.offer(first.SDP, first.ID) { // its client has sent more of them meanwhile
			r.leave(p, ReasonMediaFailure, ActionDisconnect)
			return
		}
	}
	for _, t := range r.tracks {
		r.subscribe(p, t)
	}
	r.allocate(p, int64(time.Since(clockBase)))
}

// left ends a place for a reason found outside the loop.
type left struct {
	p      *Participant
	reason Reason
	action Action
}

func (e left) apply(r *room) { r.leave(e.p, e.reason, e.action) }

type roomClosed struct {
	reason Reason
	action Action
}

func (e roomClosed) apply(r *room) {
	r.closing, r.made = true, false
	for _, p := range r.bySID {
		r.leave(p, e.reason, e.action)
	}
	r.closing = false
}
