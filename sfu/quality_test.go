package sfu_test

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"commsd/sfu"
)

// rated waits until the client is told of a quality of sid, after as many as
// it was told before.
func (c *client) rated(sid string, want sfu.Quality, after int) int {
	c.t.Helper()
	seen := 0
	await(c, "the quality", func(e sfu.EventQuality) bool {
		for _, q := range e.Qualities {
			if q.SID != sid {
				continue
			}
			if seen++; seen > after && q.Quality == want {
				return true
			}
		}
		return false
	})
	return seen
}

// Whose packets get lost is rated poor at once, and rises again step by step;
// the others stay what they are.
func TestQualityFollowsLoss(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.QualityInterval = 200 * time.Millisecond })
	an := join(t, s, everything("r", "an"), nil)
	binh := join(t, s, everything("r", "binh"), nil)
	pub, _ := an.publish(microphone("mic"))
	lossy := pub.Pump(3*time.Millisecond, func(n int) *rtp.Packet { return opus(2 * n) }) // every other packet is lost
	t.Cleanup(lossy.Stop)
	binh.rated(an.p.SID(), sfu.QualityPoor, 0)
	n := an.rated(an.p.SID(), sfu.QualityPoor, 0)
	lossy.Stop()
	next := 1 << 14
	an.pump(pub, func(int) *rtp.Packet { next++; return opus(next) })
	n = an.rated(an.p.SID(), sfu.QualityGood, n)
	an.rated(an.p.SID(), sfu.QualityExcellent, n)
	binh.rated(binh.p.SID(), sfu.QualityExcellent, 0)
	for _, e := range all[sfu.EventQuality](an) {
		for _, q := range e.Qualities {
			if q.Quality == sfu.QualityLost {
				t.Errorf("an is told of a lost connection: %+v", e.Qualities)
			}
		}
	}
}

// How many are inside is told, though not at once.
func TestRoomTellsHowManyAreInside(t *testing.T) {
	s := serve(t, func(c *sfu.Config) { c.QualityInterval = 20 * time.Millisecond })
	an := join(t, s, everything("r", "an"), nil)
	await(an, "itself", func(e sfu.EventRoom) bool { return e.Room.Participants == 1 })
	binh := join(t, s, everything("r", "binh"), nil)
	await(an, "binh", func(e sfu.EventRoom) bool { return e.Room.Participants == 2 })
	pub, _ := binh.publish(microphone("mic"))
	binh.pump(pub, opus)
	await(an, "a publisher", func(e sfu.EventRoom) bool { return e.Room.Publishers == 1 })
}
