package sfu

import (
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Who comes back is told again what is told once: a broken socket may have
// taken it along.
func TestResumeTellsAgain(t *testing.T) {
	tr, subs := threeLayers(t, 1, clockBase.Add(time.Minute))
	r, an, chi := tr.owner.room, tr.owner, subs[0].p
	an.tracks[tr.info.SID] = tr
	for _, p := range []*Participant{an, chi} {
		r.bySID[p.sid] = p
		t.Cleanup(p.stopTimers)
	}
	resume := func(p *Participant) (told []Event) {
		t.Helper()
		answer := make(chan int, 1)
		resumed{p, func(e Event) { told = append(told, e) }, answer}.apply(r)
		if n := <-answer; n != p.events.Load().number {
			t.Fatalf("came back as %d", n)
		}
		if _, first := told[0].(EventResumed); !first {
			t.Fatalf("the first that is told is %T", told[0])
		}
		return told
	}

	tr.quality.told = 1
	for _, e := range resume(an) {
		if q, ok := e.(EventSubscribedQuality); ok {
			layers := q.Codecs[0].Layers
			if q.TrackSID != tr.info.SID || !layers[0].Wanted || !layers[1].Wanted || layers[2].Wanted {
				t.Errorf("the publisher is told %+v", q)
			}
			tr.quality.told = 0
		}
	}
	if tr.quality.told != 0 {
		t.Error("the publisher is not told which layers are wanted")
	}

	subs[0].held = true
	chi.refused["TR_gone"], chi.refused[tr.info.SID] = true, false // may receive it after all
	chi.toldQuality = true
	r.speaking = map[*Participant]Speaker{}
	var held, allowed, silent bool
	for _, e := range resume(chi) {
		switch e := e.(type) {
		case EventStreamState:
			held = len(e.States) == 1 && e.States[0] == StreamState{TrackSID: tr.info.SID, ParticipantSID: an.sid, Paused: true}
		case EventSubscriptionAllowed:
			if e.TrackSID != tr.info.SID {
				t.Errorf("told of %s", e.TrackSID)
			}
			allowed = e.Allowed
		case EventSpeakers:
			silent = len(e.Speakers) == 1 && e.Speakers[0] == Speaker{SID: an.sid}
		}
	}
	if !held || !allowed || !silent || chi.toldQuality {
		t.Errorf("told that it is held back: %v, allowed: %v, that nobody speaks: %v, how everybody fares: %v", held, allowed, silent, !chi.toldQuality)
	}
}

// noTerms agree about nothing.
type noTerms struct{ terms }

func (noTerms) start() error { return nil }

// A newcomer whose client has sent more offers than may wait loses its place at
// once: its room, which finds that out, must not wait for itself.
func TestTooManyOffersAtTheDoor(t *testing.T) {
	l, _ := stage(t, 0)
	r := l.pub.p.room
	out := make(chan EventLeft, 1)
	p := newParticipant(r, JoinRequest{Identity: "an", OneConnection: true, Offer: &Offer{SDP: "v=0"}, Events: func(e Event) {
		if e, ok := e.(EventLeft); ok {
			out <- e
		}
	}})
	p.sub.terms = noTerms{}
	busy := make(chan struct{})
	p.pub.queue.Do(func() { <-busy })
	for range maxForeign {
		p.pub.queue.DoForeign(func() {})
	}
	for len(r.events) < cap(r.events) {
		r.events <- left{p: p}
	}
	var loop sync.WaitGroup
	loop.Go(func() { joined{p}.apply(r) })
	select {
	case e := <-out:
		if e.Reason != ReasonMediaFailure || e.Action != ActionDisconnect {
			t.Errorf("left with %+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the room waits")
	}
	loop.Wait()
	close(busy)
	r.beat.Stop()
	r.sfu.running.Wait()
}

// Who leaves without ever having had media is counted and named: an
// administrator must learn of a network that lets none through.
func TestUnreachedAreCounted(t *testing.T) {
	l, _ := stage(t, 0)
	r := l.pub.p.room
	for i, c := range []struct {
		state State
		since time.Duration
		want  float64
	}{{Active, time.Minute, 0}, {Joined, 0, 0}, {Joined, reachedAfter, 1}} {
		p := newParticipant(r, JoinRequest{Identity: "an", Events: func(Event) {}})
		p.state, p.joinedAt = c.state, time.Now().Add(-c.since)
		r.bySID[p.sid] = p
		r.leave(p, ReasonClient, ActionDisconnect)
		if got := testutil.ToFloat64(r.sfu.metrics.unreached); got != c.want {
			t.Errorf("after %d: %v are counted, want %v", i, got, c.want)
		}
	}
	r.sfu.running.Wait()
	if got := ReasonRoomFull.String(); got != "room full" {
		t.Errorf("the last reason is %q", got)
	}
}

// A client with many streams gets a report of each.
func TestReportsOfManyStreams(t *testing.T) {
	packets := receiverReports(make([]rtcp.ReceptionReport, 70))
	n := 0
	for _, p := range packets {
		if _, err := p.Marshal(); err != nil {
			t.Error(err)
		}
		n += len(p.(*rtcp.ReceiverReport).Reports)
	}
	if n != 70 || len(packets) != 3 || receiverReports(nil) != nil {
		t.Errorf("%d reports in %d packets", n, len(packets))
	}
}
