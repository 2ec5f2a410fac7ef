package chatpeer

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The checker finds each fault that it is there for, and none in a good log.
func TestHistoryFindsFaults(t *testing.T) {
	good := func() []Event {
		log := []Event{{Seq: 1, EventID: "e1", Kind: "member.joined", ClientID: "e1"}}
		for i := range 4 {
			log = append(log, Event{Seq: int64(i + 2), EventID: fmt.Sprint("e", i+2), Kind: "message", ClientID: fmt.Sprint("c", i), Count: int64(i + 1)})
		}
		return log
	}
	for want, spoil := range map[string]func([]Event) []Event{
		"":                       func(log []Event) []Event { return log },
		"lost: c3":               func(log []Event) []Event { return log[:4] },
		"skipped: event 4":       func(log []Event) []Event { return append(log[:2:2], log[3:]...) },
		"doubled: event id e5":   func(log []Event) []Event { return append(log, log[4]) },
		"doubled: client id c0":  func(log []Event) []Event { log[3].ClientID = "c0"; return log },
		"moved: c1":              func(log []Event) []Event { log[2].ClientID, log[3].ClientID = "c2", "c1"; return log },
		"reordered: an sent c0 ": func(log []Event) []Event { log[1].ClientID, log[3].ClientID = "c2", "c0"; return log },
		"event 3 counts 7":       func(log []Event) []Event { log[2].Count = 7; return log },
	} {
		h := NewHistory()
		for i, who := range []string{"an", "chi", "an", "chi"} {
			h.Acked(who, Ack{ClientID: fmt.Sprint("c", i), Seq: int64(i + 2)})
		}
		if h.Count() != 4 {
			t.Errorf("%d messages are acknowledged", h.Count())
		}
		var said []string
		for _, err := range h.Check("reader", spoil(good())) {
			said = append(said, err.Error())
		}
		if all := strings.Join(said, "\n"); (want == "") != (all == "") || !strings.Contains(all, want) {
			t.Errorf("want a fault %q, got %q", want, said)
		}
	}
}
