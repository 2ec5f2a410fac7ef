package udpmux

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pion/ice/v4"
)

// Gathering is the connections of one PeerConnection, for who sends it several
// packets on end: between Begin and End they wait for each other without a
// clock, see udpRun. Several may do so at a time. A nil Gathering is never open.
type Gathering struct {
	open  atomic.Int32 // begun and not ended
	conns atomic.Pointer[[]*udpConn]

	mu sync.Mutex // held by who changes conns, which are copied on write
}

func (g *Gathering) isOpen() bool { return g != nil && g.open.Load() > 0 }

// Begin opens it.
func (g *Gathering) Begin() { g.open.Add(1) }

// End sends what waits.
func (g *Gathering) End() {
	g.open.Add(-1)
	for _, c := range g.all() {
		c.out.Lock()
		for _, p := range c.out.peers {
			p.flushLocked()
		}
		c.out.Unlock()
	}
}

func (g *Gathering) all() []*udpConn {
	if conns := g.conns.Load(); conns != nil {
		return *conns
	}
	return nil
}

func (g *Gathering) add(c *udpConn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	conns := append(slices.Clone(g.all()), c)
	g.conns.Store(&conns)
}

func (g *Gathering) remove(c *udpConn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	conns := slices.DeleteFunc(slices.Clone(g.all()), func(o *udpConn) bool { return o == c })
	g.conns.Store(&conns)
}

// Gathered is the mux as the PeerConnection of a gathering is to use it.
func (m *Mux) Gathered(together *Gathering) ice.UDPMux { return gathered{m, together} }

// gathered is a Mux as one PeerConnection sees it.
type gathered struct {
	*Mux
	together *Gathering
}

// GetConn implements ice.UDPMux.
func (m gathered) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	return m.conn(ufrag, addr, m.together)
}
