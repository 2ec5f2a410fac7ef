package sfu

import (
	"sync"
	"time"

	pion "github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// interfacesFor is how long a look at the machine's interfaces is good for those
// who join: an address that it gets later is told to the next ones.
const interfacesFor = 5 * time.Second

// interfaces is what connections know of the machine's interfaces. Each would
// ask the kernel by itself, and keep the answer.
type interfaces struct {
	mu   sync.Mutex
	seen pion.Net  // guarded by mu
	at   time.Time // guarded by mu; when it was seen
}

// look returns what there is now; nil when the kernel does not say, which
// Pion asks again then and reports.
func (i *interfaces) look(now time.Time) pion.Net {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.seen == nil || now.Sub(i.at) >= interfacesFor {
		n, err := stdnet.NewNet()
		if err != nil {
			return nil
		}
		i.seen, i.at = n, now
	}
	return i.seen
}
