package sfu

import (
	"net/netip"

	"commsd/sfu/udpmux"
)

// RelayedIPv4 and RelayedIPv6 are the addresses that clients behind a relay in
// this process have here, see udpmux.Relay.
var (
	RelayedIPv4 = udpmux.RelayedIPv4
	RelayedIPv6 = udpmux.RelayedIPv6
)

// SetRelay leads what media sends to clients behind a relay in this process to
// out: a packet from one of our sockets to a port of RelayedIPv4 or RelayedIPv6.
// out is called from many goroutines, must not block and must not keep the
// packet. Without it such packets are dropped.
func (s *SFU) SetRelay(out func(packet []byte, from, to netip.AddrPort)) { s.relay.SetOut(out) }

// FromRelay takes a packet that a client behind a relay sends to media at to.
// from is a port of RelayedIPv4 or RelayedIPv6 that is this client's alone. The
// packet is not kept. It is dropped where to is not media of this node.
func (s *SFU) FromRelay(packet []byte, from, to netip.AddrPort) { s.relay.Take(packet, from, to) }

// ServesUDP tells whether addr is where a client may reach the media of this
// node over UDP: an address listened on or advertised, with the right port, or
// the one that stands for those where there is a relay alone.
func (s *SFU) ServesUDP(addr netip.AddrPort) bool { return s.relay.Serves(addr) }
