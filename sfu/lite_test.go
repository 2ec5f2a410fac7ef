package sfu_test

import (
	"strings"
	"testing"

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
