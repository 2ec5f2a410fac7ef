package turn

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v4"
)

const (
	// maxPayload is the most that is relayed in one packet: more than media sends
	// or takes.
	maxPayload = 2048
	// maxMessage is the longest message of a client: a Send indication of that.
	maxMessage = maxPayload + 256

	channelHeader                 = 4
	minChannel, maxChannel        = 0x4000, 0x4fff // RFC 8656, 12
	protocolUDP                   = 17
	familyIPv4, familyIPv6        = 1, 2
	magicCookie            uint32 = 0x2112a442
)

// isChannelData tells messages of the two kinds apart by their first bits
// (RFC 8656, 12): 00 is STUN, 01 is a channel's. Any other is neither.
func isChannelData(b []byte) bool { return len(b) >= channelHeader && b[0]>>6 == 1 }

// channelData reads a channel's message. Over UDP it may be padded.
func channelData(b []byte) (number uint16, payload []byte, ok bool) {
	if !isChannelData(b) {
		return 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if channelHeader+n > len(b) {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b), b[channelHeader : channelHeader+n], true
}

func appendChannelHeader(b []byte, number uint16, n int) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, number), uint16(n))
}

// peerAddress is XOR-PEER-ADDRESS or XOR-RELAYED-ADDRESS (RFC 8489, 14.2).
type peerAddress struct {
	attr stun.AttrType
	addr netip.AddrPort
}

// AddTo implements stun.Setter.
func (p peerAddress) AddTo(m *stun.Message) error {
	ip := p.addr.Addr().AsSlice()
	key := xorKey(m.TransactionID)
	v := []byte{0, familyIPv4}
	if len(ip) == 16 {
		v[1] = familyIPv6
	}
	v = binary.BigEndian.AppendUint16(v, p.addr.Port()^uint16(magicCookie>>16))
	for i := range ip {
		v = append(v, ip[i]^key[i])
	}
	m.Add(p.attr, v)
	return nil
}

func xorKey(id [stun.TransactionIDSize]byte) (key [16]byte) {
	binary.BigEndian.PutUint32(key[:], magicCookie)
	copy(key[4:], id[:])
	return key
}

// readPeer reads the value of an XOR-PEER-ADDRESS. An IPv4 address in the form
// of IPv6 stays one of IPv6: nothing is taken for what it is not written as.
func readPeer(v []byte, id [stun.TransactionIDSize]byte) (netip.AddrPort, bool) {
	four, six := len(v) == 8 && v[1] == familyIPv4, len(v) == 20 && v[1] == familyIPv6
	if !four && !six {
		return netip.AddrPort{}, false
	}
	key := xorKey(id)
	ip := make([]byte, len(v)-4)
	for i := range ip {
		ip[i] = v[4+i] ^ key[i]
	}
	addr, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(v[2:])^uint16(magicCookie>>16)), ok
}

// peers reads every XOR-PEER-ADDRESS of a message, at most maxPeers.
func peers(m *stun.Message) ([]netip.AddrPort, bool) {
	var out []netip.AddrPort
	for _, a := range m.Attributes {
		if a.Type != stun.AttrXORPeerAddress {
			continue
		}
		p, ok := readPeer(a.Value, m.TransactionID)
		if !ok || len(out) == maxPeers {
			return nil, false
		}
		out = append(out, p)
	}
	return out, len(out) > 0
}

// number is an attribute of four bytes: LIFETIME in seconds, CHANNEL-NUMBER in
// the upper half.
type number struct {
	attr  stun.AttrType
	value uint32
}

// AddTo implements stun.Setter.
func (n number) AddTo(m *stun.Message) error {
	m.Add(n.attr, binary.BigEndian.AppendUint32(nil, n.value))
	return nil
}

func readNumber(m *stun.Message, attr stun.AttrType) (value uint32, ok bool) {
	v, err := m.Get(attr)
	if err != nil || len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// lifetime is what a client asks for, within what we give. RFC 8656, 7.2.
func lifetime(m *stun.Message, most time.Duration) time.Duration {
	if n, ok := readNumber(m, stun.AttrLifetime); ok {
		return min(time.Duration(n)*time.Second, most)
	}
	return most
}

type raw struct {
	attr  stun.AttrType
	value []byte
}

// AddTo implements stun.Setter.
func (r raw) AddTo(m *stun.Message) error {
	m.Add(r.attr, r.value)
	return nil
}

func dataIndication(from netip.AddrPort, payload []byte) (*stun.Message, error) {
	return stun.Build(stun.TransactionID, stun.NewType(stun.MethodData, stun.ClassIndication),
		peerAddress{stun.AttrXORPeerAddress, from}, raw{stun.AttrData, payload})
}

// heeded are the comprehension-required attributes that we read, or may pass
// over: what relays in this process fragments nothing.
var heeded = []stun.AttrType{
	stun.AttrUsername, stun.AttrMessageIntegrity, stun.AttrRealm, stun.AttrNonce, stun.AttrChannelNumber, stun.AttrLifetime,
	stun.AttrXORPeerAddress, stun.AttrData, stun.AttrRequestedTransport, stun.AttrRequestedAddressFamily, stun.AttrDontFragment,
	stun.AttrEvenPort, stun.AttrReservationToken,
}

func unknown(m *stun.Message) stun.UnknownAttributes {
	var out stun.UnknownAttributes
	for _, a := range m.Attributes {
		if a.Type.Required() && !slices.Contains(heeded, a.Type) && len(out) < 16 {
			out = append(out, a.Type)
		}
	}
	return out
}
