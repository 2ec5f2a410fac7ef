package sfu

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// What a subscriber's reports say: loss by the counts between two of them, and
// the time on the way by the sender report they name.
func TestReceiptsRate(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		lost uint32 // of the 1000 packets between two reports
		rtt  time.Duration
		want Quality
	}{
		"all well":      {0, 50 * time.Millisecond, QualityExcellent},
		"a little loss": {30, 50 * time.Millisecond, QualityGood},
		"much loss":     {100, 50 * time.Millisecond, QualityPoor},
		"far":           {0, 600 * time.Millisecond, QualityGood},
		"very far":      {0, 1500 * time.Millisecond, QualityPoor},
		"more than all": {1 << 22, 0, QualityPoor},
	} {
		var r receipts
		r.sent(0x1234_5678_9abc_def0, now)
		r.received(&rtcp.ReceptionReport{LastSequenceNumber: 5000, TotalLost: 7}, now)
		r.received(&rtcp.ReceptionReport{LastSequenceNumber: 6000, TotalLost: 7 + c.lost, LastSenderReport: 0x5678_9abc, Delay: 65536}, now.Add(time.Second+c.rtt))
		got := r.take()
		if quality, score := got.rate(); quality != c.want || score < 1 || score > 5 {
			t.Errorf("%s: %d, score %v; want %d", name, quality, score, c.want)
		}
		if again := r.take(); again != (transit{}) {
			t.Errorf("%s: taken twice: %+v", name, again)
		}
	}
}

func TestNobodyIsToldOfTheirOwnLoss(t *testing.T) {
	e := EventQuality{Qualities: []ParticipantQuality{{SID: "a", Quality: QualityLost}, {SID: "b", Quality: QualityGood}}}
	if got := e.without("a").Qualities; len(got) != 1 || got[0].SID != "b" {
		t.Errorf("a is told %+v", got)
	}
}
