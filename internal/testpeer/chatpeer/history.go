package chatpeer

import (
	"fmt"
	"sync"
)

// History is what senders were promised, to be held against what readers have.
type History struct {
	mu    sync.Mutex
	acked map[string]Ack      // guarded by mu; by client id
	order map[string][]string // guarded by mu; client ids each sender sent one after the other
}

// NewHistory returns an empty record.
func NewHistory() *History {
	return &History{acked: map[string]Ack{}, order: map[string][]string{}}
}

// Acked records an acknowledgement. A sender that sends its next message only
// after the last was acknowledged has them in this order.
func (h *History) Acked(sender string, a Ack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked[a.ClientID] = a
	h.order[sender] = append(h.order[sender], a.ClientID)
}

// Count returns how many messages were acknowledged.
func (h *History) Count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.acked)
}

// Check holds a log against the record and returns every fault: messages lost,
// doubled, reordered, skipped, or acknowledged under another seq.
func (h *History) Check(reader string, log []Event) []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(reader+": "+format, args...))
	}
	at := map[string]int64{}
	eventIDs := map[string]bool{}
	count := int64(0)
	for i, e := range log {
		if e.Seq != int64(i)+1 {
			bad("skipped: event %d stands at place %d", e.Seq, i+1)
		}
		if eventIDs[e.EventID] {
			bad("doubled: event id %s", e.EventID)
		}
		eventIDs[e.EventID] = true
		if e.Kind != "message" {
			continue
		}
		count++
		if e.Count != count {
			bad("event %d counts %d messages, there are %d", e.Seq, e.Count, count)
		}
		if first, ok := at[e.ClientID]; ok {
			bad("doubled: client id %s at %d and %d", e.ClientID, first, e.Seq)
		}
		at[e.ClientID] = e.Seq
	}
	for id, a := range h.acked {
		switch seq, ok := at[id]; {
		case !ok:
			bad("lost: %s was acknowledged at %d", id, a.Seq)
		case seq != a.Seq:
			bad("moved: %s was acknowledged at %d and stands at %d", id, a.Seq, seq)
		}
	}
	for sender, ids := range h.order {
		for i := 1; i < len(ids); i++ {
			if at[ids[i]] <= at[ids[i-1]] {
				bad("reordered: %s sent %s before %s", sender, ids[i-1], ids[i])
			}
		}
	}
	return faults
}
