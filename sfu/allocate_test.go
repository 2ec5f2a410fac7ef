package sfu

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"commsd/sfu/bandwidth"
)

// threeLayers is a camera as browsers send it, all layers flowing at now.
func threeLayers(t *testing.T, subscribers int, now time.Time) (*track, []*downTrack) {
	t.Helper()
	high, _ := stage(t, subscribers)
	tr := high.track
	for rank, rid := range []string{"q", "h"} {
		l := &layer{pub: high.pub, kind: Video, codec: codecVP8, rank: rank, rid: rid, ring: newRing(videoRing), track: tr}
		l.rx.clock = 90000
		tr.addLayer(l)
	}
	for _, l := range *tr.layers.Load() {
		l.lastSeen.Store(int64(now.Sub(clockBase)))
	}
	tr.info.MimeType = codecVP8.mime()
	tr.info.Layers = []VideoLayer{{Quality: 2, Width: 1280, Height: 720}, {Quality: 0, Width: 320, Height: 180}, {Quality: 1, Width: 640, Height: 360}}
	tr.owner.room.tracks[tr.info.SID] = tr
	return tr, *tr.subs.Load()
}

func TestLayerFitsTheTile(t *testing.T) {
	tr, _ := threeLayers(t, 0, clockBase.Add(time.Minute))
	for _, c := range []struct {
		settings TrackSettings
		want     int
	}{
		{TrackSettings{Disabled: true, Quality: 2}, -1},
		{TrackSettings{Quality: 0}, 0},
		{TrackSettings{Quality: 1}, 1},
		{TrackSettings{Quality: 2}, 2},
		{TrackSettings{Quality: 250}, 2},
		{TrackSettings{Width: 320, Height: 180}, 0},
		{TrackSettings{Width: 350, Height: 197}, 0}, // a tenth more is not seen
		{TrackSettings{Width: 400, Height: 225}, 1},
		{TrackSettings{Width: 225, Height: 400}, 1}, // upright
		{TrackSettings{Width: 641, Height: 361}, 1},
		{TrackSettings{Width: 3840, Height: 2160}, 2},
		{TrackSettings{Width: 1, Height: 1}, 0},
	} {
		if got := tr.wantedRank(c.settings); got != c.want {
			t.Errorf("%+v: layer %d, want %d", c.settings, got, c.want)
		}
	}
}

// Of layers that flow the best that is wanted is sent; above it only what is
// the least.
func TestLayerFlows(t *testing.T) {
	now := clockBase.Add(time.Minute)
	tr, _ := threeLayers(t, 0, now)
	rank := func(wanted int, flowing ...int) int {
		for _, l := range *tr.layers.Load() {
			l.lastSeen.Store(0)
			for _, f := range flowing {
				if l.rank == f {
					l.lastSeen.Store(int64(now.Sub(clockBase)))
				}
			}
		}
		if l := tr.layerFor(wanted, int64(now.Sub(clockBase))); l != nil {
			return l.rank
		}
		return -1
	}
	for _, c := range []struct {
		wanted  int
		flowing []int
		want    int
	}{
		{2, []int{0, 1, 2}, 2}, {1, []int{0, 1, 2}, 1}, {0, []int{0, 1, 2}, 0},
		{2, []int{0}, 0}, {0, []int{1, 2}, 1}, {0, []int{2}, 2}, {1, []int{0, 2}, 0}, {2, nil, -1},
	} {
		if got := rank(c.wanted, c.flowing...); got != c.want {
			t.Errorf("wanted %d of %v: %d, want %d", c.wanted, c.flowing, got, c.want)
		}
	}
}

// A publisher hears at once that more is wanted, and that less is once it has
// been so for a while.
func TestDynacast(t *testing.T) {
	now := clockBase.Add(time.Minute)
	tr, subs := threeLayers(t, 2, now)
	r := tr.owner.room
	var told []int
	tr.owner.events.Store(&attachment{number: 1, emit: func(e Event) {
		if q, ok := e.(EventSubscribedQuality); ok {
			if len(q.Codecs) != 1 || q.Codecs[0].MimeType != "video/VP8" || len(q.Codecs[0].Layers) != 3 || q.TrackSID != tr.info.SID {
				t.Errorf("told %+v", q)
			}
			top := -1
			for _, l := range q.Codecs[0].Layers {
				if l.Wanted {
					top = max(top, int(l.Quality))
				}
			}
			told = append(told, top)
		}
	}})
	say := func(after time.Duration, first, second TrackSettings) []int {
		subs[0].settings, subs[1].settings = first, second
		told = nil
		r.tellQuality(tr, now)
		now = now.Add(after)
		r.tellQuality(tr, now)
		return told
	}
	none, low, high := TrackSettings{Disabled: true}, TrackSettings{Quality: 0}, TrackSettings{Quality: 2}
	for i, c := range []struct {
		after         time.Duration
		first, second TrackSettings
		want          []int
	}{
		{time.Hour, high, low, nil},             // it sends all from the beginning
		{lowerAfter / 2, low, low, nil},         // a moment
		{lowerAfter, high, low, nil},            // and wanted again
		{lowerAfter, low, none, []int{0}},       // for a while
		{time.Millisecond, low, high, []int{2}}, // at once
		{lowerAfter, none, none, []int{-1}},
	} {
		got := say(c.after, c.first, c.second)
		if len(got) != len(c.want) || len(got) == 1 && got[0] != c.want[0] {
			t.Errorf("step %d: told %v, want %v", i, got, c.want)
		}
	}
}

// spokenTo gives p a second track to receive beside t, of somebody who speaks.
func spokenTo(t *track, p *Participant, now time.Time) (*layer, *downTrack) {
	r := t.owner.room
	speaker := newParticipant(r, JoinRequest{Room: "r", Identity: "speaker", Events: func(Event) {}})
	r.speaking[speaker] = Speaker{}
	second := newTrack(speaker, TrackInfo{SID: "TR_y", Kind: Video})
	l := &layer{pub: speaker.pub, kind: Video, codec: codecVP8, rank: 0, ring: newRing(videoRing), track: second}
	l.lastSeen.Store(int64(now.Sub(clockBase)))
	second.addLayer(l)
	d := newDownTrack(p, second)
	d.writer = &sink{}
	second.addSub(d)
	p.subs[d.id] = d
	return l, d
}

// A client is told that a track is held back once it knows the track, and no
// sooner: it would pass over the word, and show a picture that never comes.
func TestHeldBackIsToldInTime(t *testing.T) {
	at := clockBase.Add(time.Minute)
	tr, subs := threeLayers(t, 1, at)
	d, p, now := subs[0], subs[0].p, int64(at.Sub(clockBase))
	spokenTo(tr, p, at)
	for _, l := range *tr.layers.Load() {
		l.rate = meter{begun: true, bits: 500_000}
	}
	p.sub.congestion.feedback.Store(true)
	p.sub.congestion.estimator = bandwidth.New(bandwidth.Config{Start: 80_000})
	told := 0
	p.events.Store(&attachment{number: 1, emit: func(e Event) {
		if s, ok := e.(EventStreamState); ok && len(s.States) == 1 && s.States[0].Paused {
			told++
		}
	}})
	writer := d.writer
	for _, step := range []struct {
		writer  webrtc.TrackLocalWriter
		boundAt int64
		want    int
	}{{nil, 0, 0}, {writer, now, 0}, {writer, now - int64(learnTime), 1}, {writer, now - int64(learnTime), 1}} {
		d.writer, d.boundAt = step.writer, step.boundAt
		tr.owner.room.allocate(p, now)
		if told != step.want {
			t.Errorf("bound at %d of %d: told %d times, want %d", step.boundAt, now, told, step.want)
		}
	}
}

// On a line that is thought to carry next to nothing one picture stays, that of
// who speaks, and the client is told of the other; once sound does not get
// through it hears of both, and of nothing that has stopped to flow by itself.
func TestTheLastPictureStays(t *testing.T) {
	now := clockBase.Add(time.Minute)
	first, subs := threeLayers(t, 1, now)
	d := subs[0]
	r, p := first.owner.room, d.p
	l, spoken := spokenTo(first, p, now)

	told := make(map[string]bool) // paused, by track
	said := 0
	p.events.Store(&attachment{number: 1, emit: func(e Event) {
		if e, ok := e.(EventStreamState); ok {
			said++
			for _, s := range e.States {
				told[s.TrackSID] = s.Paused
			}
		}
	}})
	c := p.sub.congestion
	c.feedback.Store(true)
	c.estimator = bandwidth.New(bandwidth.Config{Start: 80_000, Ceiling: 80_000})
	at := int64(now.Sub(clockBase))
	check := func(what string, states int, firstAimed, secondAimed bool) {
		t.Helper()
		r.allocate(p, at)
		if (d.aimed().layer != nil) != firstAimed || (spoken.aimed().layer != nil) != secondAimed {
			t.Errorf("%s: layers %v and %v", what, d.aimed(), spoken.aimed())
		}
		if told[d.id] == firstAimed || told[spoken.id] == secondAimed || said != states {
			t.Errorf("%s: told %v in %d messages", what, told, said)
		}
	}
	check("at the floor", 1, false, true)
	check("and on", 1, false, true)
	for n := range 100 { // a third of what is sent is lost
		seq := c.estimator.Sent(at, 1000, 0)
		if n%10 == 9 {
			fb := &rtcp.TransportLayerCC{
				BaseSequenceNumber: seq - 9, PacketStatusCount: 10, ReferenceTime: uint32(at / int64(64*time.Millisecond)), FbPktCount: uint8(n / 10),
				PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedSmallDelta, RunLength: 6}, &rtcp.RunLengthChunk{RunLength: 4}},
			}
			for range 6 {
				fb.RecvDeltas = append(fb.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 5000})
			}
			c.estimator.Feedback(at, fb)
		}
		at += int64(10 * time.Millisecond)
		for _, o := range append(*first.layers.Load(), l) {
			o.lastSeen.Store(at)
		}
	}
	r.allocate(p, at)
	if spoken.aimed().layer != nil || !told[spoken.id] || said != 2 {
		t.Errorf("with loss: sent %v, told %v in %d messages", spoken.aimed(), told, said)
	}
	at += int64(layerStalled) + 1 // nobody sends anything any more
	r.allocate(p, at)
	if said != 2 {
		t.Errorf("what does not flow is said to be %v", told)
	}
}
