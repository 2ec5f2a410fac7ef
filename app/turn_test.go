package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/rtp"
	"github.com/pion/turn/v5"
	"github.com/pion/webrtc/v4"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/internal/lkproto"
	"commsd/internal/testpeer/meetingpeer"
)

// withCertificate gives cfg a certificate for localhost, and returns who
// trusts it.
func withCertificate(t *testing.T, cfg *app.Config) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg.HTTP.TLS.Cert, cfg.HTTP.TLS.Key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, text := range map[string][]byte{cfg.HTTP.TLS.Cert: cert, cfg.HTTP.TLS.Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.HTTP.PublicURL = "https://localhost"
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// meetThroughTURN has two clients meet by TURN alone, by the URLs that use
// accepts, and returns those that they were told.
func meetThroughTURN(t *testing.T, n *apptest.Node, trust *tls.Config, use func(string) bool) []string {
	t.Helper()
	told, ways := meet(t, n, trust, &meetingpeer.Relay{Use: use, TLS: trust})
	if len(told) != 1 || told[0].GetCredential() == "" {
		t.Fatalf("clients are told of %v", told)
	}
	for _, w := range ways {
		if w != webrtc.ICECandidateTypeRelay {
			t.Errorf("media flows by a candidate of type %v", w)
		}
	}
	return told[0].GetUrls()
}

func meetDirectly(t *testing.T, n *apptest.Node) {
	t.Helper()
	if told, _ := meet(t, n, nil, nil); len(told) > 0 {
		t.Errorf("clients are sent to %v", told)
	}
}

// meet has two clients meet and hear each other. It returns the servers that
// they were told, and how their media left them.
func meet(t *testing.T, n *apptest.Node, trust *tls.Config, relay *meetingpeer.Relay) (told []*lkproto.ICEServer, ways []webrtc.ICECandidateType) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	media := meetingpeer.MediaConfig{Relay: relay}
	if n.Config.Media.UDPListen == "" && relay == nil {
		media.Networks = []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeTCP4}
	}
	var peers []*meetingpeer.Peer
	for _, who := range []string{"a", "b"} {
		p, err := meetingpeer.Dial(ctx, meetingpeer.Config{
			URL: "ws" + strings.TrimPrefix(n.URL, "http"), Token: operatorToken(t, "r", who), TLS: trust, Media: media,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		j, err := p.Await(ctx, func(m *lkproto.SignalResponse) bool { return m.GetJoin() != nil })
		if err != nil {
			t.Fatal(err)
		}
		told = j.GetJoin().GetIceServers()
		peers = append(peers, p)
	}
	for i, p := range peers {
		pub, _, err := p.Publish(ctx, &lkproto.AddTrackRequest{Cid: "mic", Type: lkproto.TrackType_AUDIO, Source: lkproto.TrackSource_MICROPHONE})
		if err != nil {
			t.Fatal(err)
		}
		source := pub.Pump(5*time.Millisecond, func(i int) *rtp.Packet { return meetingpeer.Opus(uint16(i), uint32(i)*960, []byte("sound")) })
		defer source.Stop()
		tr, err := peers[1-i].Track(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if pkt, err := tr.Next(ctx, nil); err != nil || string(pkt.Payload) != "sound" {
				t.Fatalf("received %v, %v", pkt, err)
			}
		}
	}
	for _, pc := range []*webrtc.PeerConnection{peers[0].Publisher(), peers[0].Subscriber()} {
		pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
		if err != nil {
			t.Fatal(err)
		}
		ways = append(ways, pair.Local.Typ)
	}
	return told, ways
}

func operatorKeys() map[string]string { return map[string]string{operatorKey: operatorSecret} }

func TestTURNOverUDP(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	cfg.Media.APIKeys = operatorKeys()
	cfg.TURN.UDPListen, cfg.TURN.Host = "127.0.0.1:0", "127.0.0.1"
	n := apptest.StartConfig(t, cfg)
	told := meetThroughTURN(t, n, nil, nil)
	if want := "turn:" + n.Addr("turn.udp_listen").String() + "?transport=udp"; len(told) != 1 || told[0] != want {
		t.Errorf("told %q, want %q", told, want)
	}
	// The port is the relay's alone, and given back.
	n.Stop(t)
	again, err := net.ListenPacket("udp", n.Addr("turn.udp_listen").String())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestTURNToMediaOverTCP: the relay leads to media that has no UDP port of its
// own, without a packet on any network, whatever address it is said to have.
func TestTURNToMediaOverTCP(t *testing.T) {
	for _, advertise := range [][]string{nil, {"203.0.113.7"}} {
		n := apptest.Start(t, func(c *app.Config) {
			c.Media.APIKeys = operatorKeys()
			c.Media.UDPListen, c.Media.Advertise = "", advertise
			c.TURN.UDPListen, c.TURN.Host = "127.0.0.1:0", "127.0.0.1"
		})
		meetThroughTURN(t, n, nil, nil)
		if advertise == nil { // TCP goes without the relay, as ever
			if _, ways := meet(t, n, nil, nil); slices.Contains(ways, webrtc.ICECandidateTypeRelay) {
				t.Errorf("media flows by candidates of types %v", ways)
			}
		}
		if a := n.Addr("media.udp_listen"); a != nil {
			t.Errorf("media listens on %v", a)
		}
	}
}

// TestTURNOfAnotherNode: clients whose relay is one node meet in a room of
// another, and reach its media by that relay, and nothing else.
func TestTURNOfAnotherNode(t *testing.T) {
	start := cluster(t)
	serve := func(c *app.Config) {
		c.Media.APIKeys = operatorKeys()
		c.TURN.UDPListen, c.TURN.Host = "127.0.0.1:0", "127.0.0.1"
	}
	a := start("a", serve)
	relay := a.Addr("turn.udp_listen").String()
	b := start("b", serve, func(c *app.Config) { c.TURN.URLs = []string{"turn:" + relay + "?transport=udp"} })
	if told := meetThroughTURN(t, b, nil, nil); len(told) != 1 || told[0] != b.Config.TURN.URLs[0] {
		t.Errorf("told %q", told)
	}

	p, err := meetingpeer.Dial(t.Context(), meetingpeer.Config{URL: socket(b), Token: operatorToken(t, "r", "c")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	j, err := p.Await(ctx, func(m *lkproto.SignalResponse) bool { return m.GetJoin() != nil })
	if err != nil {
		t.Fatal(err)
	}
	credential := j.GetJoin().GetIceServers()[0]
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	c, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: relay, Username: credential.GetUsername(), Password: credential.GetCredential(), Realm: b.Config.Domain,
		Conn: conn, LoggerFactory: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	allocation, err := c.Allocate()
	if err != nil {
		t.Fatal(err)
	}
	defer allocation.Close()
	permit := func(addr string) error {
		t.Helper()
		to, err := net.ResolveUDPAddr("udp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		return c.CreatePermission(to)
	}
	own := a.Addr("media.udp_listen")
	for _, addr := range []string{own.String(), relay, b.Addr("cluster.listen").String(), "10.0.0.5:7882", "169.254.169.254:80", "127.0.0.1:22", "8.8.8.8:53"} {
		if err := permit(addr); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if err := permit(b.Addr("media.udp_listen").String()); err != nil {
		t.Errorf("the room's media: %v", err)
	}
}

func TestTURNOverTLS(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	cfg.Media.APIKeys = operatorKeys()
	trust := withCertificate(t, &cfg)
	cfg.TURN.TLSListen = "127.0.0.1:0"
	n := apptest.StartConfig(t, cfg)
	told := meetThroughTURN(t, n, trust, nil)
	_, port, err := net.SplitHostPort(n.Addr("turn.tls_listen").String())
	if want := "turns:localhost:" + port + "?transport=tcp"; err != nil || len(told) != 1 || told[0] != want {
		t.Errorf("told %q, want %q, %v", told, want, err)
	}
}

// TestTURNSharesHTTPS: pages, the API and TURN on one port.
func TestTURNSharesHTTPS(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	cfg.Media.APIKeys = operatorKeys()
	trust := withCertificate(t, &cfg)
	cfg.TURN.ShareHTTPS = true
	n := apptest.StartConfig(t, cfg)
	told := meetThroughTURN(t, n, trust, nil)
	if want := "turns:" + strings.TrimPrefix(n.URL, "https://") + "?transport=tcp"; len(told) != 1 || told[0] != want {
		t.Errorf("told %q, want %q", told, want)
	}
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: version == "HTTP/2.0"}
		res, err := (&http.Client{Transport: transport}).Get(n.URL + "/api/v1/info")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		transport.CloseIdleConnections()
		if res.StatusCode != 200 || res.Proto != version {
			t.Errorf("the API: %d by %s, want %s", res.StatusCode, res.Proto, version)
		}
	}
}

func TestWrongTURNNamesKeyAndCure(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*app.Config)
		says string
	}{
		"TLS without a certificate": {func(c *app.Config) { c.TURN.TLSListen = "127.0.0.1:0" }, "turn.tls_listen: needs a certificate"},
		"sharing without TLS":       {func(c *app.Config) { c.TURN.ShareHTTPS = true }, "turn.share_https: needs commsd itself to end TLS"},
		"sharing with plain http": {func(c *app.Config) {
			withCertificate(t, c)
			c.HTTP.PublicURL = "http://localhost"
			c.TURN.ShareHTTPS = true
		}, "turn.share_https: needs https in http.public_url"},
		"a host with a scheme":       {func(c *app.Config) { c.TURN.UDPListen, c.TURN.Host = "127.0.0.1:0", "turn:comms.example" }, "turn.host: "},
		"a host and nothing served":  {func(c *app.Config) { c.TURN.Host = "comms.example" }, "turn.udp_listen: is empty"},
		"an address that is no TURN": {func(c *app.Config) { c.TURN.UDPListen, c.TURN.URLs = "127.0.0.1:0", []string{"stun:stun.example:3478"} }, "turn.urls: "},
		"an address without a port":  {func(c *app.Config) { c.TURN.UDPListen, c.TURN.URLs = "127.0.0.1:0", []string{"turn:comms.example"} }, "turn.urls: "},
		"the media's own port":       {func(c *app.Config) { c.Media.UDPListen, c.TURN.UDPListen = "127.0.0.1:7882", "127.0.0.1:7882" }, "turn.udp_listen: \"127.0.0.1:7882\" is taken by media.udp_listen"},
		"no time for an allocation":  {func(c *app.Config) { c.TURN.AllocationLifetime = time.Second }, "turn.allocation_lifetime: "},
	} {
		cfg := apptest.Config(t.TempDir())
		c.edit(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
