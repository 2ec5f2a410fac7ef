package sfu_test

import (
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"commsd/internal/testpeer/meetingpeer"
	"commsd/sfu"
)

// Clients are told that we are lite, but for those that need it otherwise; both
// kinds come in, and come back after their address or signalling was lost.
func TestLiteAndFullICE(t *testing.T) {
	for name, full := range map[string]bool{"lite": false, "full": true} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			req := everything("r", "an")
			req.FullICE = full
			an, chi := join(t, s, req, nil), join(t, s, everything("r", "chi"), nil)
			offer := await[sfu.EventOffer](an, "the offer", nil)
			if lite := strings.Contains(offer.SDP, "a=ice-lite"); lite == full {
				t.Errorf("offer says lite: %t", lite)
			}
			an.up()
			pub, _ := an.publish(camera("cam"))
			an.pump(pub, vp8)
			answer := await[sfu.EventAnswer](an, "the answer", nil)
			if lite := strings.Contains(answer.SDP, "a=ice-lite"); lite == full {
				t.Errorf("answer says lite: %t", lite)
			}
			chi.next(chi.track(), nil)
		})
	}
}

// Who lost its signalling comes back with new ICE credentials, and media goes
// on with them, over either transport.
func TestICERestart(t *testing.T) {
	for _, network := range []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4} {
		for name, full := range map[string]bool{"lite": false, "full": true} {
			t.Run(network.String()+" "+name, func(t *testing.T) {
				s := serve(t)
				req := everything("r", "an")
				req.FullICE = full
				an := join(t, s, req, &meetingpeer.MediaConfig{Networks: []webrtc.NetworkType{network}})
				chi := join(t, s, everything("r", "chi"), nil)
				pub, _ := chi.publish(camera("cam"))
				chi.pump(pub, vp8)
				tr := an.track()
				an.next(tr, nil)
				first := all[sfu.EventOffer](an)[0].SDP
				an.p.SignalLost(1)
				if _, err := an.p.Resume(ctx(t), an.note); err != nil {
					t.Fatal(err)
				}
				await(an, "the restart", func(e sfu.EventOffer) bool { return fragment(t, e.SDP) != fragment(t, first) })
				// Pion gives up the old way with the answer: what comes from now on, but
				// for what was under way, comes by the new one.
				for range 200 {
					an.next(tr, nil)
				}
			})
		}
	}
}

// fragment is the ICE user fragment of a description.
func fragment(t *testing.T, sdp string) string {
	t.Helper()
	_, after, ok := strings.Cut(sdp, "a=ice-ufrag:")
	if !ok {
		t.Fatal("no fragment")
	}
	f, _, _ := strings.Cut(after, "\r\n")
	return f
}
