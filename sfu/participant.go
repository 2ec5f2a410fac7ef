package sfu

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"commsd/internal/errcode"
)

const (
	maxTracks     = 32
	maxMetadata   = 64 << 10 // metadata and attributes together, bytes
	maxNameLength = 256
)

// Participant is one place in a room. Its exported methods may be called from
// any goroutine; they do not wait for their effect, which arrives as events.
type Participant struct {
	// Set at construction.
	room           *room
	log            *slog.Logger
	sid            string
	identity       string
	joinedAt       time.Time
	autoSubscribe  bool
	streamPerTrack bool
	fullICE        bool
	route          func(kind DataKind, data []byte) (Data, bool)
	oneConnection  bool
	first          *Offer       // may be nil
	transports     []*transport // one or two
	pub            *publisher
	sub            *subscriber

	// Written by the room's run, read by anyone.
	events  atomic.Pointer[attachment]
	mayData atomic.Bool

	// Owned by the room's run.
	name        string
	metadata    string
	attributes  map[string]string
	perm        Permission
	state       State
	since       int // room.serial when it joined
	version     uint32
	reason      Reason
	publishing  bool
	tracks      map[string]*track  // published, by SID
	unmatched   []*layer           // media whose AddTrack has not come
	sections    map[string]section // of the last offer, by MID
	subs        map[string]*downTrack
	wanted      map[string]bool          // what was asked for, by track SID
	settings    map[string]TrackSettings // by track SID
	access      *access                  // who may receive its tracks; nil: everybody
	asked       *access                  // what access is to be
	accesses    bucket                   // changes of access
	arrivals    bucket                   // tracks that begin
	accessWaits *time.Timer              // until the next is due; nil: none waits
	told        bucket                   // bytes that others were told of it
	quality     Quality                  // as last rated
	rated       bool
	toldQuality bool            // of everybody
	refused     map[string]bool // of tracks it was told of: whether it may not receive them
	unplayable  map[string]bool // tracks of a codec that its client lacks, by SID
	away        *time.Timer     // while signalling is lost
	media       *time.Timer     // while there is no media connection
	mediaWaits  int             // count of timers media has had
}

// attachment is one signalling connection.
type attachment struct {
	number int
	emit   func(Event)
}

func newParticipant(r *room, req JoinRequest) *Participant {
	p := &Participant{
		room: r, sid: newID("PA_"), identity: req.Identity, joinedAt: time.Now(),
		autoSubscribe: req.AutoSubscribe, streamPerTrack: req.StreamPerTrack, fullICE: req.FullICE, oneConnection: req.OneConnection, route: req.Route,
		name: req.Name, metadata: req.Metadata, attributes: maps.Clone(req.Attributes), perm: req.Permission,
		tracks: make(map[string]*track), subs: make(map[string]*downTrack), wanted: make(map[string]bool), refused: make(map[string]bool), unplayable: make(map[string]bool),
		settings: make(map[string]TrackSettings),
	}
	p.log = r.log.With("identity", p.identity, "sid", p.sid)
	p.events.Store(&attachment{number: 1, emit: req.Events})
	p.mayData.Store(req.Permission.PublishData)
	p.first = req.Offer
	p.arrivals = bucket{most: arrivalsAtOnce, perSecond: arrivalsASecond}
	p.accesses = bucket{most: accessAtOnce, perSecond: accessASecond}
	p.told = bucket{most: tellAtOnce, perSecond: tellASecond}
	if p.oneConnection {
		p.connectOnce()
	} else {
		p.connectTwice()
	}
	return p
}

// connectOnce gives the participant a connection for both roles.
func (p *Participant) connectOnce() {
	t := newTransport(p, TargetPublisher)
	p.transports = []*transport{t}
	p.pub, p.sub = newPublisher(t), newSubscriber(t)
	p.pub.placing = newPlacing(p.sub)
	p.sub.terms = p.pub.placing
}

// connectTwice gives the participant a connection for each role.
func (p *Participant) connectTwice() {
	publishing, receiving := newTransport(p, TargetPublisher), newTransport(p, TargetSubscriber)
	p.transports = []*transport{publishing, receiving}
	p.pub, p.sub = newPublisher(publishing), newSubscriber(receiving)
	p.sub.terms = newOffering(p.sub)
}

// SID is the participant's id, new with each join.
func (p *Participant) SID() string { return p.sid }

// OneConnection reports whether one connection serves the participant both ways.
func (p *Participant) OneConnection() bool { return p.oneConnection }

// Identity is the participant's identity.
func (p *Participant) Identity() string { return p.identity }

// Info tells of the participant as others see it. The error is errcode.Gone
// when its place has ended.
func (p *Participant) Info(ctx context.Context) (ParticipantInfo, error) {
	answer := make(chan ParticipantInfo, 1)
	gone := errcode.New(errcode.Gone, "the session has ended")
	if !p.room.post(described{p, answer}) {
		return ParticipantInfo{}, gone
	}
	select {
	case i := <-answer:
		if i.SID == "" {
			return i, gone
		}
		return i, nil
	case <-p.room.done:
		return ParticipantInfo{}, gone
	case <-ctx.Done():
		return ParticipantInfo{}, errcode.Wrap(ctx.Err(), errcode.Unavailable, "the room does not answer")
	}
}

type described struct {
	p      *Participant
	answer chan<- ParticipantInfo // has room for the one answer
}

func (e described) apply(r *room) {
	if r.bySID[e.p.sid] != e.p {
		e.answer <- ParticipantInfo{}
		return
	}
	e.answer <- e.p.info()
}

func (p *Participant) emit(e Event) { p.events.Load().emit(e) }

func (p *Participant) info() ParticipantInfo {
	i := ParticipantInfo{
		SID: p.sid, Identity: p.identity, Name: p.name, Metadata: p.metadata, Attributes: p.attributes,
		State: p.state, JoinedAt: p.joinedAt, Version: p.version, Permission: p.perm, Publisher: p.publishing, Reason: p.reason,
	}
	for _, t := range p.tracks {
		if t.announced {
			i.Tracks = append(i.Tracks, t.info)
		}
	}
	slices.SortFunc(i.Tracks, func(a, b TrackInfo) int { return a.Published.Compare(b.Published) })
	return i
}

// size is about how many bytes it takes to tell of the participant.
func (p *Participant) size() int {
	n := 100 + len(p.identity) + len(p.name) + len(p.metadata)
	for k, v := range p.attributes {
		n += len(k) + len(v)
	}
	for _, t := range p.tracks {
		if t.announced {
			n += 100 + len(t.info.Name) + len(t.info.Stream) + len(t.info.CID)
			for _, l := range t.info.Layers {
				n += 2 * (20 + len(l.RID)) // of the track, and of its codec
			}
		}
	}
	return n
}

// close ends the connections and waits for their goroutines.
func (p *Participant) close() {
	for _, t := range p.transports {
		t.close()
	}
}

func (p *Participant) stopTimers() {
	for _, t := range []*time.Timer{p.away, p.media, p.accessWaits} {
		if t != nil {
			t.Stop()
		}
	}
}

// armMedia gives the participant MediaTimeout to get its receiving connection
// up.
func (p *Participant) armMedia() {
	if p.media != nil {
		p.media.Stop()
	}
	p.mediaWaits++
	e := mediaTooLong{p, p.mediaWaits}
	p.media = time.AfterFunc(p.room.sfu.cfg.MediaTimeout, func() { p.room.post(e) })
}

// Leave ends the participant's place at its own wish.
func (p *Participant) Leave() { p.room.post(left{p, ReasonClient, ActionDisconnect}) }

// End ends the participant's place for another reason.
func (p *Participant) End(reason Reason, action Action) { p.room.post(left{p, reason, action}) }

// SignalLost says that the signalling connection of the given number broke.
// The place is kept for Config.ResumeWindow.
func (p *Participant) SignalLost(attachment int) { p.room.post(signalLost{p, attachment}) }

// Resume attaches a new signalling connection to the place and restarts ICE.
// It returns the attachment's number (Join's was 1), and errcode.Gone when the
// place has ended.
func (p *Participant) Resume(ctx context.Context, events func(Event)) (int, error) {
	answer := make(chan int, 1)
	gone := errcode.New(errcode.Gone, "the session has ended")
	if !p.room.post(resumed{p, events, answer}) {
		return 0, gone
	}
	select {
	case n := <-answer:
		if n == 0 {
			return 0, gone
		}
		return n, nil
	case <-p.room.done:
		return 0, gone
	case <-ctx.Done():
		return 0, errcode.Wrap(ctx.Err(), errcode.Unavailable, "the room does not answer")
	}
}

// Offer hands in the client's offer for the publisher connection. The answer
// carries the same id.
func (p *Participant) Offer(sdp string, id uint32) { p.waits(p.pub.offer(sdp, id)) }

// Answer hands in the client's answer for the subscriber connection; id is the
// offer's, 0 when the client does not say.
func (p *Participant) Answer(sdp string, id uint32) { p.waits(p.sub.answer(sdp, id)) }

// waits ends the place of a client that does not wait for answers.
func (p *Participant) waits(ok bool) {
	if !ok { // or the place has gone already
		p.room.post(left{p, ReasonMediaFailure, ActionDisconnect})
	}
}

// Candidate hands in an ICE candidate of the client.
func (p *Participant) Candidate(target Target, c webrtc.ICECandidateInit) {
	if target == TargetPublisher {
		p.pub.candidate(c)
	} else {
		p.sub.candidate(c)
	}
}

// AddTrack announces a track. Its offer may have come before, and then its codec
// is what that offer had first.
func (p *Participant) AddTrack(t TrackInfo) {
	p.pub.prefers.add(t)
	p.room.post(trackAdded{p, t})
}

// Mute says whether a track of the participant's own is muted. While it is,
// its packets are not forwarded.
func (p *Participant) Mute(trackSID string, muted bool) { p.room.post(trackMuted{p, trackSID, muted}) }

// Subscribe asks for tracks or refuses them.
func (p *Participant) Subscribe(trackSIDs []string, on bool) {
	p.room.post(subscribed{p, trackSIDs, on})
}

// TrackSettings is how a participant wants to receive a track.
type TrackSettings struct {
	Disabled      bool
	Width, Height uint32
	FPS           uint32
	Quality       uint8
	Priority      uint32
}

// SetTrack says how tracks are to be received.
func (p *Participant) SetTrack(trackSIDs []string, s TrackSettings) {
	p.room.post(trackSet{p, trackSIDs, s})
}

// MetadataUpdate changes what a participant says of itself. Nil fields stay;
// an attribute set to "" goes.
type MetadataUpdate struct {
	RequestID      uint32
	Name, Metadata *string
	Attributes     map[string]string
}

// UpdateMetadata changes what the participant says of itself.
func (p *Participant) UpdateMetadata(u MetadataUpdate) { p.room.post(metadataUpdated{p, u}) }

// UpdateTrack changes what the participant says of its own track.
func (p *Participant) UpdateTrack(trackSID string, change func(*TrackInfo)) {
	p.room.post(trackUpdated{p, trackSID, change})
}

type signalLost struct {
	p          *Participant
	attachment int
}

func (e signalLost) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p || p.events.Load().number != e.attachment {
		return
	}
	if p.away != nil {
		p.away.Stop()
	}
	p.away = time.AfterFunc(r.sfu.cfg.ResumeWindow, func() {
		r.post(awayTooLong(e))
	})
}

type awayTooLong signalLost

func (e awayTooLong) apply(r *room) {
	if e.p.events.Load().number == e.attachment {
		r.leave(e.p, ReasonSignalLost, ActionDisconnect)
	}
}

type resumed struct {
	p      *Participant
	events func(Event)
	answer chan<- int // has room for the one answer
}

func (e resumed) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p {
		e.answer <- 0
		return
	}
	if p.away != nil {
		p.away.Stop()
	}
	n := p.events.Load().number + 1
	p.events.Store(&attachment{number: n, emit: e.events})
	back := EventResumed{Room: r.info(), Self: p.info(), Others: r.othersOf(p), Gone: r.goneLately(p)}
	for sid, t := range p.tracks {
		if t.silenced {
			back.Muted = append(back.Muted, sid)
		}
	}
	p.emit(back)
	r.repeat(p)
	if !p.oneConnection || !p.sub.up() { // a client that restarts ICE by itself may have no need to
		p.armMedia()
	}
	p.sub.restart()
	e.answer <- n
}

// repeat tells a client that has come back what a broken socket may not have
// told, of what is told once only.
func (r *room) repeat(p *Participant) {
	for _, t := range p.tracks {
		if t.info.Kind == Video && t.info.MimeType != "" {
			p.emit(t.subscribedQuality())
		}
	}
	var states []StreamState
	for _, d := range p.subs {
		if d.kind == webrtc.RTPCodecTypeVideo {
			states = append(states, d.streamState())
		}
	}
	if len(states) > 0 {
		p.emit(EventStreamState{states})
	}
	var speakers []Speaker
	for _, o := range r.bySID {
		if s, speaks := r.speaking[o]; speaks {
			speakers = append(speakers, s)
		} else if len(o.tracks) > 0 && !o.perm.Hidden {
			speakers = append(speakers, Speaker{SID: o.sid})
		}
	}
	if len(speakers) > 0 {
		p.emit(EventSpeakers{Speakers: speakers})
	}
	p.toldQuality = false
	for sid, refused := range p.refused {
		if t := r.tracks[sid]; t != nil {
			p.emit(EventSubscriptionAllowed{TrackSID: sid, ParticipantSID: t.owner.sid, Allowed: !refused})
		}
	}
}

// mediaUp and mediaDown tell of the receiving connection.
type mediaUp struct{ p *Participant }

func (e mediaUp) apply(r *room) {
	p := e.p
	if r.bySID[p.sid] != p {
		return
	}
	if p.media != nil {
		p.media.Stop()
		p.media = nil
	}
	for _, d := range p.subs {
		d.flow()
	}
	if p.state != Active {
		p.state = Active
		r.touch(p)
	}
}

type mediaDown struct{ p *Participant }

func (e mediaDown) apply(r *room) {
	if r.bySID[e.p.sid] == e.p && e.p.media == nil {
		e.p.armMedia()
	}
}

// mediaTooLong says that a timer of armMedia ran out.
type mediaTooLong struct {
	p    *Participant
	wait int
}

func (e mediaTooLong) apply(r *room) {
	if e.p.media != nil && e.p.mediaWaits == e.wait { // else the connection came up meanwhile
		r.leave(e.p, ReasonMediaTimeout, ActionReconnect)
	}
}

type metadataUpdated struct {
	p *Participant
	u MetadataUpdate
}

func (e metadataUpdated) apply(r *room) {
	p, u := e.p, e.u
	if r.bySID[p.sid] != p {
		return
	}
	if !p.perm.UpdateMetadata {
		p.emit(EventMetadataRefused{RequestID: u.RequestID})
		return
	}
	if !p.describe(u) {
		p.emit(EventMetadataRefused{RequestID: u.RequestID, Limit: true})
		return
	}
	p.emit(EventMetadataUpdated{RequestID: u.RequestID})
	r.touch(p)
}

// describe changes what is said of p, unless that is too much.
func (p *Participant) describe(u MetadataUpdate) bool {
	metadata, name, attributes := p.metadata, p.name, maps.Clone(p.attributes)
	if u.Metadata != nil {
		metadata = *u.Metadata
	}
	if u.Name != nil {
		name = *u.Name
	}
	for k, v := range u.Attributes {
		if attributes == nil {
			attributes = make(map[string]string)
		}
		if attributes[k] = v; v == "" {
			delete(attributes, k)
		}
	}
	size := len(metadata)
	for k, v := range attributes {
		size += len(k) + len(v)
	}
	if size > maxMetadata || len(name) > maxNameLength {
		return false
	}
	p.metadata, p.name, p.attributes = metadata, name, attributes
	return true
}
