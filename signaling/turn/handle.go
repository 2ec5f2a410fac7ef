package turn

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/pion/stun/v4"
)

// handle serves one whole message of a client. b is not kept.
func (s *Server) handle(c *client, b []byte) {
	defer s.recovered("message of " + c.addr.Addr().String())
	if l := c.link.Load(); l != nil {
		l.toNode(b)
		return
	}
	if isChannelData(b) {
		s.channelData(c, b)
		return
	}
	if !stun.IsMessage(b) {
		return
	}
	m := &stun.Message{Raw: append([]byte(nil), b...)} // Check changes it for a moment
	if m.Decode() != nil {
		return
	}
	switch m.Type.Class {
	case stun.ClassRequest:
		s.request(c, m)
	case stun.ClassIndication:
		if m.Type.Method == stun.MethodSend {
			s.sendIndication(c, m)
		}
	default: // answers, which we ask for none of
	}
}

// request answers a request.
func (s *Server) request(c *client, m *stun.Message) {
	if m.Type.Method == stun.MethodBinding {
		ip := c.addr.Addr().AsSlice()
		s.answer(c, m, nil, stun.ClassSuccessResponse, &stun.XORMappedAddress{IP: ip, Port: int(c.addr.Port())}, stun.Fingerprint)
		return
	}
	verb, ok := map[stun.Method]func(*client, *stun.Message, who){
		stun.MethodAllocate: s.allocateRequest, stun.MethodRefresh: s.refreshRequest,
		stun.MethodCreatePermission: s.permissionRequest, stun.MethodChannelBind: s.channelRequest,
	}[m.Type.Method]
	if !ok {
		s.refuse(c, m, nil, stun.CodeBadRequest, "not served here")
		return
	}
	w, ok := s.authenticate(c, m)
	if !ok {
		return
	}
	if attrs := unknown(m); len(attrs) > 0 {
		s.answer(c, m, w.key, stun.ClassErrorResponse, &stun.ErrorCodeAttribute{Code: stun.CodeUnknownAttribute, Reason: []byte("Unknown Attribute")}, attrs)
		return
	}
	verb(c, m, w)
}

// who has sent a request.
type who struct {
	user string
	node string // that the credential names
	key  stun.MessageIntegrity
}

// authenticate checks the long-term credential (RFC 8489, 9.2.4). It answers
// who has none.
func (s *Server) authenticate(c *client, m *stun.Message) (who, bool) {
	challenge := func(code stun.ErrorCode, reason, why string) (who, bool) {
		s.metrics.refused.WithLabelValues(why).Inc()
		s.answer(c, m, nil, stun.ClassErrorResponse, &stun.ErrorCodeAttribute{Code: code, Reason: []byte(reason)},
			stun.NewRealm(s.cfg.Realm), stun.NewNonce(s.nonce(c.addr.Addr())))
		return who{}, false
	}
	if !m.Contains(stun.AttrMessageIntegrity) {
		s.answer(c, m, nil, stun.ClassErrorResponse, &stun.ErrorCodeAttribute{Code: stun.CodeUnauthorized, Reason: []byte("Unauthorized")},
			stun.NewRealm(s.cfg.Realm), stun.NewNonce(s.nonce(c.addr.Addr())))
		return who{}, false
	}
	var name stun.Username
	var realm stun.Realm
	var nonce stun.Nonce
	if name.GetFrom(m) != nil || realm.GetFrom(m) != nil || nonce.GetFrom(m) != nil {
		s.refuse(c, m, nil, stun.CodeBadRequest, "Bad Request")
		return who{}, false
	}
	if !s.nonceHolds(nonce.String(), c.addr.Addr()) {
		return challenge(stun.CodeStaleNonce, "Stale Nonce", "nonce")
	}
	u, node, ok := user(name.String(), s.now())
	key := stun.NewLongTermIntegrity(name.String(), s.cfg.Realm, Password(s.cfg.Secret, name.String()))
	if key.Check(m) != nil {
		return challenge(stun.CodeUnauthorized, "Unauthorized", "password")
	}
	if !ok {
		return challenge(stun.CodeUnauthorized, "The credential has expired", "expired")
	}
	return who{u, node, key}, true
}

// allocateRequest is RFC 8656, 7.2.
func (s *Server) allocateRequest(c *client, m *stun.Message, w who) {
	if a := c.alloc.Load(); a != nil {
		if a.transaction != m.TransactionID || a.user != w.user {
			s.refuse(c, m, w.key, stun.CodeAllocMismatch, "Allocation Mismatch")
			return
		}
		s.allocated(c, m, w, a) // said again
		return
	}
	if !s.cfg.Alive(w.user) {
		if w.node != "" && s.cfg.Link != nil && !c.handedOn {
			s.link(c, m, w)
			return
		}
		s.refuseEnded(c, m, w)
		return
	}
	transport, ok := readNumber(m, stun.AttrRequestedTransport)
	switch {
	case !ok:
		s.refuse(c, m, w.key, stun.CodeBadRequest, "Bad Request")
		return
	case transport>>24 != protocolUDP:
		s.refuse(c, m, w.key, stun.CodeUnsupportedTransProto, "Unsupported Transport Protocol")
		return
	case m.Contains(stun.AttrEvenPort) || m.Contains(stun.AttrReservationToken):
		s.refuse(c, m, w.key, stun.CodeInsufficientCapacity, "Insufficient Capacity")
		return
	}
	ip := s.cfg.RelayedIPv4 // RFC 8656, 7.2: what is meant when nothing is asked for
	if v, err := m.Get(stun.AttrRequestedAddressFamily); err == nil {
		switch {
		case len(v) != 4:
			s.refuse(c, m, w.key, stun.CodeBadRequest, "Bad Request")
			return
		case v[0] == familyIPv6:
			ip = s.cfg.RelayedIPv6
		case v[0] != familyIPv4:
			s.refuse(c, m, w.key, stun.CodeAddrFamilyNotSupported, "Address Family not Supported")
			return
		}
	}
	life := lifetime(m, s.cfg.Limits.AllocationLifetime)
	if life == 0 {
		s.refuse(c, m, w.key, stun.CodeBadRequest, "Bad Request")
		return
	}
	a, why := s.allocate(c, w.user, ip, m.TransactionID, life)
	if why != "" {
		s.overQuota(c, m, w, why)
		return
	}
	s.log.Debug("allocation made", "user", w.user, "client", c.addr)
	s.allocated(c, m, w, a)
}

func (s *Server) overQuota(c *client, m *stun.Message, w who, why string) {
	s.metrics.refused.WithLabelValues(why).Inc()
	if why == refusedUser {
		s.refuse(c, m, w.key, stun.CodeAllocQuotaReached, "Allocation Quota Reached")
	} else {
		s.refuse(c, m, w.key, stun.CodeInsufficientCapacity, "Insufficient Capacity")
	}
}

func (s *Server) allocated(c *client, m *stun.Message, w who, a *allocation) {
	left := max(a.expires.Load()-s.now().UnixNano(), 0)
	s.answer(c, m, w.key, stun.ClassSuccessResponse,
		peerAddress{stun.AttrXORRelayedAddress, a.relay},
		number{stun.AttrLifetime, uint32((left + 999_999_999) / 1e9)},
		&stun.XORMappedAddress{IP: net.IP(c.addr.Addr().AsSlice()), Port: int(c.addr.Port())})
}

// allocation returns that of the client, where it is the user's.
func (s *Server) allocation(c *client, m *stun.Message, w who) *allocation {
	a := c.alloc.Load()
	switch {
	case a == nil || s.now().UnixNano() >= a.expires.Load():
		s.refuse(c, m, w.key, stun.CodeAllocMismatch, "Allocation Mismatch")
	case a.user != w.user:
		s.refuse(c, m, w.key, stun.CodeWrongCredentials, "Wrong Credentials")
	default:
		return a
	}
	return nil
}

// refreshRequest is RFC 8656, 8.2.
func (s *Server) refreshRequest(c *client, m *stun.Message, w who) {
	a := s.allocation(c, m, w)
	if a == nil {
		return
	}
	life := lifetime(m, s.cfg.Limits.AllocationLifetime)
	switch {
	case life == 0:
		s.end(a)
	case !s.cfg.Alive(w.user):
		s.refuseEnded(c, m, w)
		return
	default:
		a.expires.Store(s.now().Add(life).UnixNano())
	}
	s.answer(c, m, w.key, stun.ClassSuccessResponse, number{stun.AttrLifetime, uint32(life.Seconds())})
}

// mayReach tells whether the allocation may send to addr, and answers where
// not. This is the wall between clients and the network.
func (s *Server) mayReach(c *client, m *stun.Message, w who, a *allocation, addr netip.AddrPort) bool {
	switch {
	case !s.cfg.Media.ServesUDP(addr):
		s.metrics.refused.WithLabelValues("peer").Inc()
		s.log.Debug("a client asked to relay to what is not media", "user", w.user, "client", c.addr, "peer", addr)
		s.refuse(c, m, w.key, stun.CodeForbidden, "Forbidden")
	case addr.Addr().Is4() != a.relay.Addr().Is4():
		s.refuse(c, m, w.key, stun.CodePeerAddrFamilyMismatch, "Peer Address Family Mismatch")
	default:
		return true
	}
	return false
}

// permissionRequest is RFC 8656, 10.2: all are permitted, or none.
func (s *Server) permissionRequest(c *client, m *stun.Message, w who) {
	a := s.allocation(c, m, w)
	if a == nil {
		return
	}
	all, ok := peers(m)
	if !ok {
		s.refuse(c, m, w.key, stun.CodeBadRequest, "Bad Request")
		return
	}
	for _, addr := range all {
		if !s.mayReach(c, m, w, a, addr) {
			return
		}
	}
	now := s.now().UnixNano()
	for _, addr := range all {
		if a.permit(addr, now) == nil {
			s.refuse(c, m, w.key, stun.CodeInsufficientCapacity, "Insufficient Capacity")
			return
		}
	}
	s.answer(c, m, w.key, stun.ClassSuccessResponse)
}

// channelRequest is RFC 8656, 12.2.
func (s *Server) channelRequest(c *client, m *stun.Message, w who) {
	a := s.allocation(c, m, w)
	if a == nil {
		return
	}
	value, ok := readNumber(m, stun.AttrChannelNumber)
	all, okPeer := peers(m)
	n := uint16(value >> 16)
	if !ok || !okPeer || len(all) != 1 || n < minChannel || n > maxChannel {
		s.refuse(c, m, w.key, stun.CodeBadRequest, "Bad Request")
		return
	}
	if !s.mayReach(c, m, w, a, all[0]) {
		return
	}
	now := s.now().UnixNano()
	p := a.permit(all[0], now)
	switch {
	case p == nil:
		s.refuse(c, m, w.key, stun.CodeInsufficientCapacity, "Insufficient Capacity")
	case !a.bind(p, n, now):
		s.refuse(c, m, w.key, stun.CodeBadRequest, "The channel or the peer is bound otherwise")
	default:
		s.answer(c, m, w.key, stun.ClassSuccessResponse)
	}
}

// sendIndication is RFC 8656, 11.2.
func (s *Server) sendIndication(c *client, m *stun.Message) {
	a := c.alloc.Load()
	all, ok := peers(m)
	payload, err := m.Get(stun.AttrData)
	if a == nil || !ok || len(all) != 1 || err != nil || len(unknown(m)) > 0 {
		return
	}
	now := s.now().UnixNano()
	if now >= a.expires.Load() {
		return
	}
	p := a.peer(all[0], now)
	if p == nil {
		// A permission holds for all ports of an address: those that are media's.
		if !a.permittedIP(all[0].Addr(), now) || !s.cfg.Media.ServesUDP(all[0]) {
			s.metrics.refused.WithLabelValues("send").Inc()
			return
		}
		if p = a.permit(all[0], now); p == nil {
			return
		}
	}
	s.toMedia(a, p, payload, now)
}

// channelData is RFC 8656, 12.6.
func (s *Server) channelData(c *client, b []byte) {
	a := c.alloc.Load()
	n, payload, ok := channelData(b)
	if a == nil || !ok {
		return
	}
	now := s.now().UnixNano()
	if now >= a.expires.Load() {
		return
	}
	if p := a.byChannel(n, now); p != nil {
		s.toMedia(a, p, payload, now)
	}
}

// refuseEnded answers who has no place any more.
func (s *Server) refuseEnded(c *client, m *stun.Message, w who) {
	s.metrics.refused.WithLabelValues("ended").Inc()
	s.refuse(c, m, w.key, stun.CodeForbidden, "The session has ended")
}

// refuse answers with an error.
func (s *Server) refuse(c *client, m *stun.Message, key stun.MessageIntegrity, code stun.ErrorCode, reason string) {
	s.answer(c, m, key, stun.ClassErrorResponse, &stun.ErrorCodeAttribute{Code: code, Reason: []byte(reason)})
}

// answer answers a request, signed with key where there is one.
func (s *Server) answer(c *client, m *stun.Message, key stun.MessageIntegrity, class stun.MessageClass, attrs ...stun.Setter) {
	all := append([]stun.Setter{stun.NewTransactionIDSetter(m.TransactionID), stun.NewType(m.Type.Method, class)}, attrs...)
	if key != nil {
		all = append(all, key)
	}
	out, err := stun.Build(all...)
	if err != nil {
		s.log.Error("TURN answer not built", "err", err)
		return
	}
	c.way.send(out.Raw)
}

// frameLength is the length of the message that begins with header in a
// stream, padding included; 0 for what is no message of ours.
func frameLength(header [channelHeader]byte) int {
	n := int(binary.BigEndian.Uint16(header[2:]))
	switch {
	case isChannelData(header[:]):
		n = channelHeader + (n+3)&^3 // RFC 8656, 12.5
	case header[0]>>6 == 0 && n%4 == 0:
		n += 20
	default:
		return 0
	}
	if n > maxMessage {
		return 0
	}
	return n
}
