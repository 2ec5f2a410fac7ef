package sfu

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// gathering is the connections of one PeerConnection, for who sends it several
// packets on end: between begin and end they wait for each other without a
// clock, see udpRun. Several may do so at a time. A nil gathering is never open.
type gathering struct {
	open  atomic.Int32 // begun and not ended
	conns atomic.Pointer[[]*udpConn]

	mu sync.Mutex // held by who changes conns, which are copied on write
}

func (g *gathering) isOpen() bool { return g != nil && g.open.Load() > 0 }

func (g *gathering) begin() { g.open.Add(1) }

// end sends what waits.
func (g *gathering) end() {
	g.open.Add(-1)
	for _, c := range g.all() {
		c.out.Lock()
		for _, p := range c.out.peers {
			p.flushLocked()
		}
		c.out.Unlock()
	}
}

func (g *gathering) all() []*udpConn {
	if conns := g.conns.Load(); conns != nil {
		return *conns
	}
	return nil
}

func (g *gathering) add(c *udpConn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	conns := append(slices.Clone(g.all()), c)
	g.conns.Store(&conns)
}

func (g *gathering) remove(c *udpConn) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	conns := slices.DeleteFunc(slices.Clone(g.all()), func(o *udpConn) bool { return o == c })
	g.conns.Store(&conns)
}

// gatheringMux is a udpMux as one PeerConnection sees it.
type gatheringMux struct {
	*udpMux
	together *gathering
}

// GetConn implements ice.UDPMux.
func (m gatheringMux) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	return m.conn(ufrag, addr, m.together)
}
