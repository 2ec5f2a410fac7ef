package camera

import (
	"context"
	"sync"
	"time"
)

// slots spread the bursts of sources over the 5 ms between two of one's own:
// the people of a meeting do not send in step.
const slots = int(paceEvery / time.Millisecond)

// Pump paces many sources by one goroutine. Its methods may be called from any
// goroutine.
type Pump struct {
	mu    sync.Mutex
	slots [slots][]*Source // guarded by mu
	next  int              // guarded by mu
}

// Add begins to pace s.
func (p *Pump) Add(s *Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.next % slots
	p.next++
	p.slots[at] = append(append([]*Source(nil), p.slots[at]...), s)
}

// Sent counts the packets of all sources.
func (p *Pump) Sent() (packets uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sources := range p.slots {
		for _, s := range sources {
			packets += s.Sent()
		}
	}
	return packets
}

// Run paces until ctx ends. A source whose track fails is left out from then
// on: its connection has closed.
func (p *Pump) Run(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	gone := make(map[*Source]bool)
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		sources := p.slots[n%int64(slots)]
		p.mu.Unlock()
		now := time.Now()
		for _, s := range sources {
			if !gone[s] && s.Pace(now) != nil {
				gone[s] = true
			}
		}
	}
}
