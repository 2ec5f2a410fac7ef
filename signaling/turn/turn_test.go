package turn_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"

	"commsd/signaling/turn"
)

// TestRelaysToMedia: Pion's client allocates, sends and receives, over UDP and
// over TLS, first by indications and then by a channel.
func TestRelaysToMedia(t *testing.T) {
	t.Run("of its own", func(t *testing.T) { testRelaysToMedia(t, func(t *testing.T) *server { return serve(t) }) })
	t.Run("of another node", func(t *testing.T) { testRelaysToMedia(t, func(t *testing.T) *server { return linked(t) }) })
}

func testRelaysToMedia(t *testing.T, serve func(*testing.T) *server) {
	for _, how := range []string{"udp", "tls"} {
		for _, media := range []netip.AddrPort{served, served6} {
			t.Run(how+" to "+media.String(), func(t *testing.T) {
				s := serve(t)
				var conn net.PacketConn
				to := s.udp.String()
				if how == "udp" {
					c, err := net.ListenPacket("udp4", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					conn = c
				} else {
					c, err := tls.Dial("tcp", s.tls, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own
					if err != nil {
						t.Fatal(err)
					}
					conn, to = pion.NewSTUNConn(c), s.tls
				}
				defer conn.Close()
				credential := s.credential("PA_one")
				quiet := logging.NewDefaultLoggerFactory()
				quiet.DefaultLogLevel = logging.LogLevelDisabled
				family := pion.RequestedAddressFamilyIPv4
				if media.Addr().Is6() {
					family = pion.RequestedAddressFamilyIPv6
				}
				c, err := pion.NewClient(&pion.ClientConfig{
					STUNServerAddr: to, TURNServerAddr: to, Username: credential.Username, Password: credential.Credential, Realm: "g2g.example",
					Conn: conn, LoggerFactory: quiet, RequestedAddressFamily: family,
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.Listen(); err != nil {
					t.Fatal(err)
				}
				relay, err := c.Allocate()
				if err != nil {
					t.Fatal(err)
				}
				got := relay.LocalAddr().(*net.UDPAddr).AddrPort()
				if a := got.Addr().Unmap(); a.String() != "192.0.0.8" && a.String() != "100::8" || a.Is4() != media.Addr().Is4() {
					t.Errorf("the relayed address is %v", got)
				}
				buf := make([]byte, 2000)
				for i := range 300 {
					said := fmt.Sprintf("echo %0*d", i, i) // every length modulo 4
					if _, err := relay.WriteTo([]byte(said), net.UDPAddrFromAddrPort(media)); err != nil {
						t.Fatal(err)
					}
					if err := relay.SetReadDeadline(time.Now().Add(wait)); err != nil {
						t.Fatal(err)
					}
					n, from, err := relay.ReadFrom(buf)
					if err != nil || string(buf[:n]) != said || from.(*net.UDPAddr).AddrPort() != media {
						t.Fatalf("%q from %v, %v", buf[:n], from, err)
					}
				}
				first := <-s.media.got
				if first.to != media || first.from.Port() != got.Port() {
					t.Errorf("media got it from %v for %v", first.from, first.to)
				}
				if err := relay.Close(); err != nil {
					t.Fatal(err)
				}
				s.awaitAllocations(t, 0)
			})
		}
	}
}

// TestRefusesOtherAddresses: no way of asking reaches anything but the media.
func TestRefusesOtherAddresses(t *testing.T) {
	t.Run("for its own media", func(t *testing.T) { testRefusesOtherAddresses(t, serve(t)) })
	t.Run("for another node's", func(t *testing.T) { testRefusesOtherAddresses(t, linked(t)) })
}

func testRefusesOtherAddresses(t *testing.T, s *server) {
	four, six := s.allocated(t, "PA_4"), s.allocated(t, "PA_6", attr{stun.AttrRequestedAddressFamily, []byte{2, 0, 0, 0}})
	for i, addr := range []string{
		"127.0.0.1:7882", "127.0.0.1:8081", "127.9.9.9:80", "0.0.0.0:7882", "10.0.0.5:7882", "172.16.3.4:22", "192.168.1.1:80", "100.64.0.1:80",
		"169.254.169.254:80", "169.254.1.1:7882", "224.0.0.1:5353", "239.1.2.3:7882", "255.255.255.255:7882", "8.8.8.8:53",
		"192.0.0.8:1024", "192.0.2.1:7882", onTheWay.String(),
		"203.0.113.7:8081", "203.0.113.7:0", "203.0.113.7:7881", "203.0.113.7:443", // the server's own other ports
		"[::1]:7882", "[::]:7882", "[fe80::1]:7882", "[fc00::5]:7882", "[fd00:ec2::254]:80", "[ff02::1]:5353", "[2001:db8::7]:8081",
		"[::ffff:127.0.0.1]:7882", "[::ffff:203.0.113.7]:7882", "[::ffff:169.254.169.254]:80", "[::127.0.0.1]:7882",
		"[64:ff9b::7f00:1]:7882", "[64:ff9b::a9fe:a9fe]:80", "[64:ff9b:1::a00:1]:80", "[2002:7f00:1::]:7882", "[100::8]:1024",
	} {
		to := netip.MustParseAddrPort(addr)
		for own, r := range map[netip.AddrPort]*raw{served: four, served6: six} {
			if c := code(t, r.ask(stun.MethodCreatePermission, peerAddress(to))); c != stun.CodeForbidden {
				t.Errorf("a permission for %s: %d", addr, c)
			}
			if c := code(t, r.ask(stun.MethodCreatePermission, peerAddress(own), peerAddress(to))); c != stun.CodeForbidden {
				t.Errorf("a permission for %s behind another: %d", addr, c)
			}
			if c := code(t, r.ask(stun.MethodChannelBind, channel(uint16(0x4000+i)), peerAddress(to))); c != stun.CodeForbidden {
				t.Errorf("a channel to %s: %d", addr, c)
			}
			r.sendIndication(to, "out")
			r.sendChannel(uint16(0x4000+i), "out")
			r.barrier()
		}
	}
	// What is permitted is one port, not an address; and not the other family.
	if c := code(t, four.ask(stun.MethodCreatePermission, peerAddress(served))); c != 0 {
		t.Fatalf("a permission for the media: %d", c)
	}
	four.sendIndication(netip.AddrPortFrom(served.Addr(), 8081), "out")
	six.sendIndication(served6, "out") // without a permission
	four.barrier()
	six.barrier()
	if c := code(t, four.ask(stun.MethodChannelBind, channel(0x4abc), peerAddress(served6))); c != stun.CodePeerAddrFamilyMismatch {
		t.Errorf("media of the other family: %d", c)
	}
	select {
	case p := <-s.media.got:
		t.Errorf("relayed %q to %v", p.payload, p.to)
	default:
	}
	four.sendIndication(served, "in") // this one does get there
	if p := <-s.media.got; p.payload != "in" || p.to != served {
		t.Errorf("relayed %q to %v", p.payload, p.to)
	}
	// Media does not send to who has not asked for it.
	s.media.send([]byte("unasked"), served6, netip.MustParseAddrPort("[100::8]:2000"))
}

func TestCredentials(t *testing.T) {
	s := serve(t)
	good := s.credential("PA_one")
	try := func(c turn.ICEServer) stun.ErrorCode {
		t.Helper()
		r := s.client(t, c)
		r.greet()
		return code(t, r.ask(stun.MethodAllocate, overUDP))
	}
	wrong := good
	wrong.Credential = "guessed"
	later := good
	later.Username = "9999999999:PA_one"
	nobody := turn.ICEServer{Username: "9999999999:", Credential: turn.Password(secret, "9999999999:")}
	old := turn.ICEServer{Username: "1000000000:PA_one", Credential: turn.Password(secret, "1000000000:PA_one")}
	for what, c := range map[string]turn.ICEServer{
		"a wrong password": wrong, "a longer life": later, "nobody": nobody, "an expired credential": old, "no name": {},
	} {
		if c := try(c); c != stun.CodeUnauthorized {
			t.Errorf("%s: %d", what, c)
		}
	}
	if c := try(good); c != 0 {
		t.Errorf("a good credential: %d", c)
	}
	s.ended.Store("PA_gone", true)
	if c := try(s.credential("PA_gone")); c != stun.CodeForbidden {
		t.Errorf("an ended session: %d", c)
	}
	s.clock.add(13 * time.Hour)
	if c := try(good); c != stun.CodeUnauthorized {
		t.Errorf("a credential after its time: %d", c)
	}
}

func TestAnotherUsersAllocation(t *testing.T) {
	s := serve(t)
	r := s.allocated(t, "PA_one")
	other := s.credential("PA_two")
	r.name, r.key = other.Username, stun.NewLongTermIntegrity(other.Username, "g2g.example", other.Credential)
	if c := code(t, r.ask(stun.MethodRefresh, seconds(600))); c != stun.CodeWrongCredentials {
		t.Errorf("refresh: %d", c)
	}
	if c := code(t, r.ask(stun.MethodCreatePermission, peerAddress(served))); c != stun.CodeWrongCredentials {
		t.Errorf("permission: %d", c)
	}
	// A nonce is for one address, and for its time.
	s.clock.add(61 * time.Minute)
	r = &raw{t: t, conn: r.conn, name: r.name, key: r.key, nonce: r.nonce}
	if c := code(t, r.ask(stun.MethodRefresh, seconds(600))); c != stun.CodeStaleNonce {
		t.Errorf("a nonce of an hour ago: %d", c)
	}
}

// TestAllocationsAreBounded: of one user, of all, and those who prove nothing
// take nothing.
func TestAllocationsAreBounded(t *testing.T) {
	s := serve(t, func(c *turn.Config) { c.Limits.Allocations, c.Limits.AllocationsPerUser = 5, 3 })
	var mine []*raw
	for range 3 {
		mine = append(mine, s.allocated(t, "PA_greedy"))
	}
	more := func(user string) stun.ErrorCode {
		r := s.client(t, s.credential(user))
		r.greet()
		return code(t, r.ask(stun.MethodAllocate, overUDP))
	}
	if c := more("PA_greedy"); c != stun.CodeAllocQuotaReached {
		t.Errorf("over the user's quota: %d", c)
	}
	if c := more("PA_modest"); c != 0 {
		t.Errorf("another user meanwhile: %d", c)
	}
	s.allocated(t, "PA_third")
	if c := more("PA_late"); c != stun.CodeInsufficientCapacity {
		t.Errorf("over the quota of all: %d", c)
	}
	if c := code(t, mine[0].ask(stun.MethodRefresh, seconds(0))); c != 0 {
		t.Errorf("giving one back: %d", c)
	}
	if c := more("PA_late"); c != 0 {
		t.Errorf("after one was given back: %d", c)
	}
	s.End("PA_greedy")
	s.awaitAllocations(t, 3)
	if c := code(t, mine[1].ask(stun.MethodRefresh, seconds(600))); c != stun.CodeAllocMismatch {
		t.Errorf("refreshing what has ended: %d", c)
	}
	for range 200 {
		s.client(t, turn.ICEServer{}).greet()
	}
	if n := s.Allocations(); n != 3 {
		t.Errorf("%d allocations after a flood without credentials", n)
	}
}

func TestAllocationsEndByThemselves(t *testing.T) {
	s := serve(t)
	r := s.allocated(t, "PA_one", seconds(100_000)) // more than is given
	s.clock.add(9 * time.Minute)
	if c := code(t, r.ask(stun.MethodRefresh, seconds(60))); c != 0 {
		t.Fatalf("refresh: %d", c)
	}
	s.clock.add(61 * time.Second)
	s.awaitAllocations(t, 0)
	other := s.allocated(t, "PA_two")
	s.ended.Store("PA_two", true)
	if c := code(t, other.ask(stun.MethodRefresh, seconds(600))); c != stun.CodeForbidden {
		t.Errorf("refresh of an ended session: %d", c)
	}
	s.clock.add(10*time.Minute + time.Second)
	s.awaitAllocations(t, 0)
}

// TestRateOfOneUser: what is beyond is dropped, and it does not starve others.
func TestRateOfOneUser(t *testing.T) {
	s := serve(t, func(c *turn.Config) { c.Limits.BytesPerSecond = 2000 })
	r, other := s.allocated(t, "PA_one"), s.allocated(t, "PA_two")
	for _, c := range []*raw{r, other} {
		if got := code(t, c.ask(stun.MethodChannelBind, channel(0x4001), peerAddress(served))); got != 0 {
			t.Fatalf("channel: %d", got)
		}
	}
	kilobyte := string(make([]byte, 1000))
	for range 10 {
		r.sendChannel(0x4001, kilobyte)
	}
	r.barrier()
	other.sendChannel(0x4001, "other")
	other.barrier()
	var got []int
	for len(s.media.got) > 0 {
		got = append(got, len((<-s.media.got).payload))
	}
	if fmt.Sprint(got) != "[1000 1000 5]" {
		t.Errorf("media got %v", got)
	}
	s.clock.add(time.Second)
	r.sendChannel(0x4001, "again")
	r.barrier()
	if len(s.media.got) != 1 {
		t.Error("nothing is relayed a second later")
	}
}

// TestAnswersFromAnotherAddress: behind NAT media answers from its own address,
// and the client knows the advertised one.
func TestAnswersFromAnotherAddress(t *testing.T) {
	s := serve(t)
	r := s.allocated(t, "PA_one")
	if c := code(t, r.ask(stun.MethodCreatePermission, peerAddress(served))); c != 0 {
		t.Fatalf("permission: %d", c)
	}
	r.sendIndication(served, "hello")
	p := <-s.media.got
	s.media.send([]byte("welcome"), netip.MustParseAddrPort("10.0.0.5:7882"), p.from)
	m := r.read(wait, func(m *stun.Message) bool { return m.Type.Method == stun.MethodData })
	if m == nil {
		t.Fatal("no answer")
	}
	var from stun.XORMappedAddress
	if err := from.GetFromAs(m, stun.AttrXORPeerAddress); err != nil || from.String() != served.String() {
		t.Errorf("from %v, %v", from, err)
	}
}

// TestPanicEndsOneMessage: a fault of ours is that of one message.
func TestPanicEndsOneMessage(t *testing.T) {
	s := serve(t)
	r := s.allocated(t, "PA_one")
	s.media.fall.Store(true)
	m, err := stun.Build(stun.TransactionID, stun.NewType(stun.MethodCreatePermission, stun.ClassRequest), peerAddress(served),
		stun.NewUsername(r.name), stun.NewRealm("g2g.example"), r.nonce, r.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.conn.Write(m.Raw); err != nil {
		t.Fatal(err)
	}
	r.barrier()
	s.media.fall.Store(false)
	if c := code(t, r.ask(stun.MethodCreatePermission, peerAddress(served))); c != 0 {
		t.Errorf("after the panic: %d", c)
	}
}

// TestUnsignedAttributes: what somebody on the way hangs on to a signed request
// counts for nothing (RFC 8489, 14.5).
func TestUnsignedAttributes(t *testing.T) {
	s := serve(t)
	r := s.allocated(t, "PA_one")
	if got := code(t, r.askWith(stun.MethodCreatePermission, peerAddress(served))); got != stun.CodeBadRequest {
		t.Errorf("an unsigned peer: %d", got)
	}
	if got := code(t, r.askWith(stun.MethodRefresh, attr{0x7abc, []byte{1}})); got != 0 {
		t.Errorf("an unsigned requirement: %d", got)
	}
}

// TestWhatIsNotOurs: the rest of the protocol is refused by its numbers.
func TestWhatIsNotOurs(t *testing.T) {
	s := serve(t)
	r := s.client(t, s.credential("PA_one"))
	r.greet()
	for what, c := range map[string]struct {
		attrs []stun.Setter
		want  stun.ErrorCode
	}{
		"TCP allocations":        {[]stun.Setter{attr{stun.AttrRequestedTransport, []byte{6, 0, 0, 0}}}, stun.CodeUnsupportedTransProto},
		"no transport":           {nil, stun.CodeBadRequest},
		"an even port":           {[]stun.Setter{overUDP, attr{stun.AttrEvenPort, []byte{0x80}}}, stun.CodeInsufficientCapacity},
		"a family of its own":    {[]stun.Setter{overUDP, attr{stun.AttrRequestedAddressFamily, []byte{3, 0, 0, 0}}}, stun.CodeAddrFamilyNotSupported},
		"an unknown requirement": {[]stun.Setter{overUDP, attr{0x7abc, []byte{1}}}, stun.CodeUnknownAttribute},
		"no lifetime":            {[]stun.Setter{overUDP, seconds(0)}, stun.CodeBadRequest},
	} {
		if got := code(t, r.ask(stun.MethodAllocate, c.attrs...)); got != c.want {
			t.Errorf("%s: %d, want %d", what, got, c.want)
		}
	}
	if got := code(t, r.ask(stun.MethodConnect, peerAddress(served))); got != stun.CodeBadRequest {
		t.Errorf("a TCP connection: %d", got)
	}
	if n := s.Allocations(); n != 0 {
		t.Errorf("%d allocations", n)
	}
	a := s.allocated(t, "PA_two")
	for n, want := range map[uint16]stun.ErrorCode{0x3fff: 400, 0x5000: 400, 0x4000: 0} {
		if got := code(t, a.ask(stun.MethodChannelBind, channel(n), peerAddress(served))); got != want {
			t.Errorf("channel %x: %d, want %d", n, got, want)
		}
	}
	if got := code(t, a.ask(stun.MethodChannelBind, channel(0x4001), peerAddress(served))); got != stun.CodeBadRequest {
		t.Errorf("a second channel to one peer: %d", got)
	}
}
