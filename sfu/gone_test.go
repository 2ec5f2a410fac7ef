package sfu_test

import (
	"fmt"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// A publisher who goes in the middle of a frame leaves nothing that disturbs
// the others: what else they receive goes on as it was, and who comes back
// is seen from a key frame on.
func TestPublisherGoneMidFrame(t *testing.T) { bothForms(t, testPublisherGoneMidFrame) }

func testPublisherGoneMidFrame(t *testing.T, cfg *meetingpeer.MediaConfig) {
	s := serve(t)
	an, binh, chi := join(t, s, everything("r", "an"), cfg), join(t, s, everything("r", "binh"), cfg), join(t, s, everything("r", "chi"), cfg)
	sound, _ := binh.publish(microphone("mic"))
	binh.pump(sound, opus)
	voice := chi.track()
	// offset is between the numbers that the subscriber sees and the publisher's:
	// the same as long as nothing begins anew.
	offset := func(p *rtp.Packet) uint16 {
		var n int
		if _, err := fmt.Sscanf(string(p.Payload), "sound %d", &n); err != nil {
			t.Fatalf("%q: %v", p.Payload, err)
		}
		return p.SequenceNumber - uint16(n)
	}
	want := offset(chi.steady(voice))

	picture, sid := an.publish(camera("cam"))
	source := an.pump(picture, vp8)
	seen := chi.track()
	chi.next(seen, nil)
	source.Stop()
	halves := an.pump(picture, func(n int) *rtp.Packet {
		p := meetingpeer.VP8(uint16(20_000+n), 1<<30, n == 0, []byte("the first half"))
		p.Marker = false
		return p
	})
	chi.next(seen, func(p *rtp.Packet) bool { return !p.Marker })
	halves.Stop()
	an.p.End(sfu.ReasonMediaFailure, sfu.ActionDisconnect) // as when its connection breaks
	chi.awaitParticipant("an", "gone", func(p sfu.ParticipantInfo) bool { return p.State == sfu.Disconnected })

	again := join(t, s, everything("r", "an"), cfg)
	picture, fresh := again.publish(camera("cam"))
	again.pump(picture, vp8)
	back := chi.track()
	if back.Kind != webrtc.RTPCodecTypeVideo || chi.TrackAt(back.MID) == sid || fresh == sid {
		t.Errorf("%s comes back as %s, was %s", back.ID, fresh, sid)
	}
	chi.next(back, func(p *rtp.Packet) bool { return p.Marker && p.Payload[1]&1 == 0 })
	for range 200 {
		if got := offset(chi.next(voice, nil)); got != want {
			t.Fatalf("sound: its numbers are moved by %d, were by %d", got, want)
		}
	}
}
