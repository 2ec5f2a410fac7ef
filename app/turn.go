package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"commsd/internal/netlimit"
	"commsd/internal/tlsport"
	"commsd/sfu"
	"commsd/signaling/turn"
)

// TURNConfig is the embedded relay, for networks that let no UDP through to
// the media.
type TURNConfig struct {
	UDPListen  string   `yaml:"udp_listen"`
	TLSListen  string   `yaml:"tls_listen"`  // with the certificate of http.tls
	ShareHTTPS bool     `yaml:"share_https"` // TURN over TLS on http.listen, too
	Host       string   `yaml:"host"`        // that clients are told; empty: the host of http.public_url
	URLs       []string `yaml:"urls"`        // that clients are told instead, where ports differ outside

	MaxAllocations        int           `yaml:"max_allocations"`          // of all clients
	MaxAllocationsPerUser int           `yaml:"max_allocations_per_user"` // of one participant
	MaxBytesPerSecond     int           `yaml:"max_bytes_per_second"`     // of one participant, each way
	AllocationLifetime    time.Duration `yaml:"allocation_lifetime"`      // without a refresh
	CredentialLifetime    time.Duration `yaml:"credential_lifetime"`

	MaxConnections           int `yaml:"max_connections"`             // of tls_listen
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"` // of tls_listen
}

var defaultTURN = TURNConfig{
	MaxAllocations: 5000, MaxAllocationsPerUser: 40, MaxBytesPerSecond: 4 << 20,
	AllocationLifetime: 10 * time.Minute, CredentialLifetime: 12 * time.Hour,
	MaxConnections: 5000, MaxConnectionsPerAddress: 1000,
}

// TURNProbe is the user in whose name doctor asks the relay for an address.
const TURNProbe = "doctor"

// TURNSecret is the name of the key that makes credentials.
const TURNSecret = "turn.key"

// On tells whether any of it is served.
func (c TURNConfig) On() bool { return c.UDPListen != "" || c.TLSListen != "" || c.ShareHTTPS }

func (c *Config) validateTURN() error {
	t := c.TURN
	if !t.On() {
		if t.Host != "" || len(t.URLs) > 0 {
			return keyErrorf("turn.udp_listen", "is empty, and so is turn.tls_listen, but turn.host or turn.urls is set; set where TURN is served, or nothing of turn")
		}
		return nil
	}
	switch {
	case t.TLSListen != "" && c.HTTP.TLS.Cert == "":
		return keyErrorf("turn.tls_listen", "needs a certificate that browsers trust; set http.tls.cert and http.tls.key")
	case t.ShareHTTPS && c.HTTP.TLS.Cert == "":
		return keyErrorf("turn.share_https", "needs commsd itself to end TLS on http.listen; set http.tls.cert and http.tls.key, or set turn.tls_listen on a port of its own")
	case t.ShareHTTPS && !c.secure():
		return keyErrorf("turn.share_https", "needs https in http.public_url, which is %s", c.HTTP.PublicURL)
	case strings.ContainsAny(t.Host, "/:@ ") && !isIPv6(t.Host):
		return keyErrorf("turn.host", "%q is no host name or address; write one such as turn.comms.example, without scheme and port", t.Host)
	}
	for _, u := range t.URLs {
		scheme, rest, _ := strings.Cut(u, ":")
		hostport, _, _ := strings.Cut(rest, "?")
		if _, _, err := net.SplitHostPort(hostport); err != nil || scheme != "turn" && scheme != "turns" {
			return keyErrorf("turn.urls", "%q is no TURN address with a port; write one such as turns:comms.example:443?transport=tcp", u)
		}
	}
	if host := c.turnHost(); host == "" {
		return keyErrorf("turn.host", "is empty, and http.public_url has no host; name the host that clients reach this node by")
	}
	return nil
}

func isIPv6(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6()
}

func (c *Config) turnHost() string {
	if c.TURN.Host != "" {
		return c.TURN.Host
	}
	return c.publicHost()
}

// turnURLs is what clients are told, best first: UDP while it goes, TLS where
// it does not. addrs are those really listened on.
func (c *Config) turnURLs(addrs map[string]net.Addr) []string {
	if len(c.TURN.URLs) > 0 {
		return c.TURN.URLs
	}
	var out []string
	add := func(scheme, port, transport string) {
		out = append(out, scheme+":"+net.JoinHostPort(c.turnHost(), port)+"?transport="+transport)
	}
	if a := addrs["turn.udp_listen"]; a != nil {
		add("turn", fmt.Sprint(portOf(a)), "udp")
	}
	if c.TURN.ShareHTTPS {
		port := "443"
		if u, err := url.Parse(c.HTTP.PublicURL); err == nil && u.Port() != "" {
			port = u.Port()
		}
		add("turns", port, "tcp")
	}
	if a := addrs["turn.tls_listen"]; a != nil {
		add("turns", fmt.Sprint(portOf(a)), "tcp")
	}
	return out
}

// TURNURLs is what clients of a node with this configuration are told, for
// doctor. Ports that the kernel chooses are not known before a node runs.
func (c *Config) TURNURLs() []string {
	addrs := map[string]net.Addr{}
	for key, listen := range map[string]string{"turn.udp_listen": c.TURN.UDPListen, "turn.tls_listen": c.TURN.TLSListen} {
		if a, err := net.ResolveTCPAddr("tcp", numericOnly(listen)); err == nil {
			addrs[key] = a
		}
	}
	return c.turnURLs(addrs)
}

// listenTURN binds the relay's UDP port, nil without one.
func (a *App) listenTURN(ctx context.Context, n *node) (*net.UDPConn, error) {
	address := a.cfg.TURN.UDPListen
	if address == "" {
		return nil, nil //nolint:nilnil // no port is an ordinary answer
	}
	network := "udp"
	if host, _, _ := net.SplitHostPort(address); host != "" && !isIPv6(host) {
		network = "udp4" // who writes 0.0.0.0 does not mean ::
	}
	pc, err := new(net.ListenConfig).ListenPacket(ctx, network, address)
	if err != nil {
		return nil, listenError("turn.udp_listen", address, err)
	}
	conn := pc.(*net.UDPConn)
	// What the kernel grants is enough to go on with.
	_ = conn.SetReadBuffer(4 << 20)
	_ = conn.SetWriteBuffer(4 << 20)
	n.closers = append(n.closers, func() error { return ignoreClosed(conn.Close()) })
	n.addrs["turn.udp_listen"] = conn.LocalAddr()
	return conn, nil
}

// constructTURN makes the relay where the configuration wants one.
func (a *App) constructTURN(ctx context.Context, n *node, udp *net.UDPConn, tcp net.Listener, certificate *tls.Certificate) error {
	if !a.cfg.TURN.On() {
		return nil
	}
	key, err := n.secret.Get(ctx, TURNSecret, randomKey)
	if err != nil {
		return err
	}
	t := a.cfg.TURN
	urls := a.cfg.turnURLs(n.addrs)
	cfg := turn.Config{
		UDP: udp, TCP: tcp, URLs: urls, Realm: a.cfg.Domain, Secret: key, Media: n.media,
		RelayedIPv4: sfu.RelayedIPv4, RelayedIPv6: sfu.RelayedIPv6,
		Alive: func(user string) bool { return user == TURNProbe || n.rooms.Alive(user) },
		Link: func(ctx context.Context, node string, client netip.AddrPort) (net.Conn, error) {
			return n.rooms.LinkRelay(ctx, node, client)
		},
		Limits: turn.Limits{
			Allocations: t.MaxAllocations, AllocationsPerUser: t.MaxAllocationsPerUser, BytesPerSecond: t.MaxBytesPerSecond,
			AllocationLifetime: t.AllocationLifetime, CredentialLifetime: t.CredentialLifetime,
			Connections: netlimit.Config{Max: t.MaxConnections, PerAddress: t.MaxConnectionsPerAddress},
		},
		Log: a.log, Registerer: a.reg, Now: a.opts.Now,
	}
	if certificate != nil {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}
	}
	if n.relay, err = turn.New(cfg); err != nil {
		return err
	}
	a.log.Info("TURN is served; clients whose network blocks UDP are told these addresses", "urls", urls)
	return nil
}

// serveShared serves pages and TURN on one TLS port : a browser offers ALPN for
// pages and none for TURN, whose first byte is 0x00 to 0x03.
func (a *App) serveShared(n *node, pages net.Listener) error {
	c := n.public.TLSConfig
	c.NextProtos = []string{"h2", "http/1.1"}
	shared := tlsport.New(pages, tlsport.Config{
		TLS: c, IsOther: func(first byte) bool { return first <= 3 }, Other: n.relay.ServeConn, Log: a.log,
	})
	var parting sync.WaitGroup
	parting.Go(shared.Run)
	err := n.public.Serve(shared)
	_ = shared.Close() // Serve has said what went wrong
	parting.Wait()
	return err
}
