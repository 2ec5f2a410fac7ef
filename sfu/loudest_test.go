package sfu

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// microphones are voices of a room in which two are heard at a time, each with
// a listener.
func microphones(t *testing.T, names ...string) (map[string]*layer, map[string]*recorder) {
	t.Helper()
	first, _ := stage(t, 0)
	r := first.pub.p.room
	r.loudest.most = 2
	layers, outs := make(map[string]*layer), make(map[string]*recorder)
	for i, name := range names {
		p := newParticipant(r, JoinRequest{Identity: name, Events: func(Event) {}})
		l := &layer{pub: p.pub, kind: Audio, codec: codecOpus, rank: topRank, ring: newRing(audioRing), levelID: 1}
		l.rx.clock = 48000
		l.track = newTrack(p, TrackInfo{SID: name, Kind: Audio, Source: SourceMicrophone})
		l.track.addLayer(l)
		d := newDownTrack(newParticipant(r, JoinRequest{Identity: name + "'s listener", Events: func(Event) {}}), l.track)
		outs[name] = &recorder{}
		d.writer, d.out = outs[name], outStream{ssrc: uint32(i), pt: 111}
		l.track.addSub(d)
		layers[name] = l
	}
	return layers, outs
}

// say takes in a packet of a voice at the given level.
func say(t *testing.T, l *layer, n int, level uint8, at time.Time) {
	t.Helper()
	p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 111, SequenceNumber: uint16(n), Timestamp: uint32(n) * 960}, Payload: []byte("sound")}
	if err := p.SetExtension(1, []byte{level}); err != nil {
		t.Fatal(err)
	}
	receive(t, l, p, at)
}

// Two of three voices are heard; the third takes the place of the quieter one
// as soon as it is louder, and a listener sees no gap in the numbers.
func TestTheLoudestAreHeard(t *testing.T) {
	layers, outs := microphones(t, "an", "binh", "chi")
	at := clockBase.Add(time.Minute)
	n := 0
	speak := func(packets int, an, binh, chi uint8) string {
		before := map[string]int{}
		for name, o := range outs {
			before[name] = len(o.got)
		}
		for range packets {
			n, at = n+1, at.Add(20*time.Millisecond)
			say(t, layers["an"], n, an, at)
			say(t, layers["binh"], n, binh, at)
			say(t, layers["chi"], n, chi, at)
		}
		return fmt.Sprint(len(outs["an"].got)-before["an"], len(outs["binh"].got)-before["binh"], len(outs["chi"].got)-before["chi"])
	}
	const silent, soft, loud = 127, 60, 20
	if got := speak(50, loud, soft, silent); got != "50 50 0" {
		t.Errorf("the first who speak: %s", got)
	}
	if got := speak(10, loud, soft, soft-3); got != "10 10 0" {
		t.Errorf("one who is hardly louder: %s", got)
	}
	speak(25, loud, soft, loud) // comes in
	if got := speak(50, loud, soft, loud); got != "50 0 50" {
		t.Errorf("once the third is louder: %s", got)
	}
	speak(100, silent, loud, loud)
	if got := speak(50, silent, loud, loud); got != "0 50 50" {
		t.Errorf("once the first is silent: %s", got)
	}
	for name, o := range outs {
		for i, p := range o.got[1:] {
			if p.SequenceNumber != o.got[i].SequenceNumber+1 || !laterTS(p.Timestamp, o.got[i].Timestamp) {
				t.Errorf("%s: number %d after %d, time %d after %d", name, p.SequenceNumber, o.got[i].SequenceNumber, p.Timestamp, o.got[i].Timestamp)
			}
		}
	}
	marks := 0
	for _, p := range outs["binh"].got {
		if p.Marker {
			marks++
		}
	}
	if marks != 2 {
		t.Errorf("%d talkspurts are marked, want 2", marks)
	}
}

// Who sends nothing any more makes room, and who leaves does at once.
func TestSilenceMakesRoom(t *testing.T) {
	layers, outs := microphones(t, "an", "binh", "chi")
	at := clockBase.Add(time.Minute)
	for n := range 5 {
		at = at.Add(20 * time.Millisecond)
		say(t, layers["an"], n, 20, at)
		say(t, layers["binh"], n, 20, at)
		say(t, layers["chi"], n, 20, at)
	}
	if got := len(outs["chi"].got); got != 0 {
		t.Fatalf("the third is heard: %d packets", got)
	}
	at = at.Add(time.Duration(silentAfter) + time.Millisecond)
	say(t, layers["binh"], 6, 20, at) // an's are missing
	say(t, layers["chi"], 6, 40, at)
	if got := len(outs["chi"].got); got != 1 {
		t.Errorf("the third is not heard in the place of one who is silent: %d packets", got)
	}
	at = at.Add(100 * time.Millisecond)
	layers["chi"].pub.p.room.dropTrack(layers["chi"].track)
	say(t, layers["an"], 7, 90, at)
	if got := len(outs["an"].got); got != 6 {
		t.Errorf("a quiet one is not heard in the place of one who left: %d packets", got)
	}
}

// Whose track has ended is heard no more, however loud its client sends on.
func TestEndedTracksAreNotHeard(t *testing.T) {
	layers, outs := microphones(t, "an", "binh", "chi")
	at := clockBase.Add(time.Minute)
	layers["chi"].pub.p.room.dropTrack(layers["chi"].track)
	for n := range 20 {
		at = at.Add(20 * time.Millisecond)
		say(t, layers["chi"], n, 0, at)
		say(t, layers["an"], n, 60, at)
		say(t, layers["binh"], n, 60, at)
	}
	if an, binh, chi := len(outs["an"].got), len(outs["binh"].got), len(outs["chi"].got); an != 20 || binh != 20 || chi != 0 {
		t.Errorf("heard: an %d, binh %d, chi %d", an, binh, chi)
	}
}

// Nobody keeps the others out by several microphones that claim to be loud.
func TestOneVoiceYields(t *testing.T) {
	layers, outs := microphones(t, "an", "an's second", "chi", "dung")
	layers["an's second"].track.owner = layers["an"].track.owner
	at := clockBase.Add(time.Minute)
	for n := range 50 {
		at = at.Add(20 * time.Millisecond)
		say(t, layers["an"], n, 0, at)
		say(t, layers["an's second"], n, 0, at)
		if n > 20 {
			say(t, layers["chi"], n, 60, at)
			say(t, layers["dung"], n, 61, at)
		}
	}
	an, second, chi, dung := len(outs["an"].got), len(outs["an's second"].got), len(outs["chi"].got), len(outs["dung"].got)
	if an+second != 50+22 || chi != 29 || dung != 0 {
		t.Errorf("heard: an %d and %d, chi %d, dung %d", an, second, chi, dung)
	}
}
