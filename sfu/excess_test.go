package sfu

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Sound is forwarded to everybody whatever their lines take: no more of it than
// sound needs.
func TestSoundIsBounded(t *testing.T) {
	layers, outs := microphones(t, "an", "binh")
	at := clockBase.Add(time.Minute)
	flood := func(l *layer, n int) {
		receive(t, l, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: uint16(n), Timestamp: uint32(n) * 960}, Payload: make([]byte, 1200)}, at)
	}
	const seconds = 10
	for n := range seconds * 2000 {
		at = at.Add(time.Second / 2000)
		flood(layers["an"], n)
		if n%40 == 0 { // as fast and as large as Opus sends, twice over
			flood(layers["binh"], n/40)
		}
	}
	took := 0
	for _, p := range outs["an"].got {
		took += len(p.Payload)
	}
	if most := soundAtOnce + seconds*soundASecond; took > most || took < most/2 {
		t.Errorf("of a flood %d bytes are forwarded in %d s, want at most %d", took, seconds, most)
	}
	if got := len(outs["binh"].got); got != seconds*50 {
		t.Errorf("of what sound needs %d packets of %d are forwarded", got, seconds*50)
	}
}

// A track has as many streams as simulcast has layers, and not many more: each
// keeps its packets for a while.
func TestLayersOfATrackAreBounded(t *testing.T) {
	first, _ := stage(t, 0)
	r := first.pub.p.room
	p := newParticipant(r, JoinRequest{Identity: "an", Permission: Permission{Publish: true}, Events: func(Event) {}})
	r.bySID[p.sid] = p
	defer p.close()
	trackAdded{p, TrackInfo{CID: "cam", Kind: Video, Source: SourceCamera}}.apply(r)
	for i := range 100 {
		mediaArrived{p, &layer{pub: p.pub, remote: &webrtc.TrackRemote{}, kind: Video, codec: codecVP8, known: true, ssrc: uint32(i), cid: "cam", mid: "1", rid: fmt.Sprint(i), rank: topRank, ring: newRing(1)}}.apply(r)
	}
	if len(p.tracks) != 1 {
		t.Fatalf("%d tracks are published", len(p.tracks))
	}
	for _, tr := range p.tracks {
		if n := len(*tr.layers.Load()); n != maxLayers {
			t.Errorf("%d layers of a track are taken in, want %d", n, maxLayers)
		}
	}
}

// Who publishes and unpublishes all the time does not have everybody negotiate
// all the time.
func TestTracksBeginWithMeasure(t *testing.T) {
	first, _ := stage(t, 0)
	r := first.pub.p.room
	p := newParticipant(r, JoinRequest{Identity: "an", Permission: Permission{Publish: true}, Events: func(Event) {}})
	r.bySID[p.sid] = p
	defer p.close()
	begun := 0
	start := time.Now()
	for i := range 200 {
		cid := fmt.Sprint(i)
		trackAdded{p, TrackInfo{CID: cid, Kind: Video, Source: SourceCamera}}.apply(r)
		if len(p.tracks) != 1 {
			t.Fatalf("%d tracks are published", len(p.tracks))
		}
		mediaArrived{p, &layer{pub: p.pub, remote: &webrtc.TrackRemote{}, kind: Video, codec: codecVP8, known: true, ssrc: uint32(i), cid: cid, mid: cid, rank: topRank, ring: newRing(1)}}.apply(r)
		for _, tr := range p.tracks {
			begun += len(*tr.layers.Load())
			r.dropTrack(tr)
		}
	}
	if most := arrivalsAtOnce + 1 + int(time.Since(start).Seconds())*arrivalsASecond; begun < arrivalsAtOnce || begun > most {
		t.Errorf("%d tracks begin, want %d to %d", begun, arrivalsAtOnce, most)
	}
}

// Sender reports are handed on with measure: everybody gets each.
func TestSenderReportsArePaced(t *testing.T) {
	l, _ := stage(t, 1)
	feed(l, &packet{}, frame(t, true), 1, time.Now())
	d := (*l.track.subs.Load())[0]
	for n := range uint64(1000) {
		l.reported = time.Now() // which a test that is held up for longer would not see
		l.senderReport((n+2)<<16, 0)
	}
	if d.receipts.srID != 0 {
		t.Errorf("report %d is handed on right after another", d.receipts.srID)
	}
	l.reported = time.Time{}
	l.senderReport(7<<16, 0)
	if d.receipts.srID != 7 {
		t.Error("a report is not handed on")
	}
}

func TestBucket(t *testing.T) {
	b := bucket{most: 100, perSecond: 10}
	now := time.Now()
	if !b.take(60, now) || !b.take(40, now) || b.take(1, now) {
		t.Error("a bucket of 100 gives another sum")
	}
	if w := b.wait(20); w != 2*time.Second {
		t.Errorf("20 are there after %v", w)
	}
	now = now.Add(2 * time.Second)
	if !b.take(20, now) || b.take(1, now) {
		t.Error("after two seconds another 20 are not there")
	}
	now = now.Add(time.Hour)
	if b.wait(1000) != 0 && !b.take(1000, now) || b.take(1, now) {
		t.Error("what is larger than the bucket is not taken from a full one, alone")
	}
	if w := b.wait(1000); w != 100*time.Second {
		t.Errorf("it is full again after %v", w)
	}
}

// A packet that names thousands finds those it is for.
func TestDataForMany(t *testing.T) {
	first, _ := stage(t, 0)
	r := first.pub.p.room
	person := func(name string) *Participant {
		return newParticipant(r, JoinRequest{Identity: name, Events: func(Event) {}})
	}
	from, by, sid, none := person("from"), person("by identity"), person("by sid"), person("none")
	for _, more := range []int{0, 10_000} {
		to := []string{"by identity", sid.sid, "from"}
		for i := range more {
			to = append(to, fmt.Sprint(i))
		}
		d := newReliable(from, Data{To: to})
		if !d.isFor(by) || !d.isFor(sid) || d.isFor(none) || d.isFor(from) {
			t.Errorf("with %d more names: %t %t %t %t", more, d.isFor(by), d.isFor(sid), d.isFor(none), d.isFor(from))
		}
	}
	if !newReliable(from, Data{}).isFor(none) {
		t.Error("a packet for all is for nobody")
	}
}
