package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"

	"commsd/app"
	"commsd/signaling/turn"
)

// checkTURN asks each address that clients are told for a relay, as they do.
func (d *Doctor) checkTURN(ctx context.Context) {
	const check = "relay"
	switch {
	case !d.cfg.TURN.On():
		d.skip(check, "turn.* is not set: people whose network blocks UDP and the port of media.tcp_listen cannot join; docs/network.md says how")
		return
	case !d.serves(ctx):
		d.skip(check, "start commsd; then this asks its relay for an address")
		return
	case d.turnErr != nil || len(d.turnKey) == 0:
		d.skip(check, "the key of its credentials cannot be read (%v)", d.turnErr)
		return
	}
	for _, url := range d.cfg.TURNURLs() {
		d.checkRelay(ctx, url)
	}
}

// checkRelay looks at one of the relay's addresses.
func (d *Doctor) checkRelay(ctx context.Context, url string) {
	check := "relay " + url
	uri, err := stun.ParseURI(url)
	if err != nil {
		d.fail(check, oneLine(err), "write turn.urls like turns:comms.example:443?transport=tcp")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	address := net.JoinHostPort(uri.Host, fmt.Sprint(uri.Port))
	conn, err := d.dialRelay(ctx, uri, address)
	var invalid *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid):
		d.fail(check, "browsers will not trust it: "+oneLine(invalid.Err), "set http.tls to a certificate made out to "+uri.Host+" by an authority that browsers trust")
		return
	case err != nil:
		d.fail(check, "nothing answers: "+oneLine(err), "see that "+address+" leads to this machine, and turn.host and turn.urls are right")
		return
	}
	defer func() { _ = conn.Close() }() // nothing more is asked of it
	began := time.Now()
	relayed, err := d.allocate(conn, address)
	switch {
	case err != nil && strings.Contains(err.Error(), "all retransmissions failed"):
		d.fail(check, "it does not answer", "see that "+address+" leads to this machine, and that the firewall lets it through")
	case err != nil:
		d.fail(check, "it gives no address: "+oneLine(err), "look at commsd's log; restart it if turn.* or the key file has changed since")
	case !relayed.IsValid():
		d.fail(check, "it relays to this machine's own ports", "this is a bug of commsd: set turn.* empty and report it")
	default:
		d.ok(check, "gave an address in %d ms, and relays to media alone", time.Since(began).Milliseconds())
	}
}

// dialRelay connects as a client does.
func (d *Doctor) dialRelay(ctx context.Context, uri *stun.URI, address string) (net.PacketConn, error) {
	if uri.Proto == stun.ProtoTypeUDP {
		// Where the name leads to is the client's question; the kernel picks the family.
		probe, err := new(net.Dialer).DialContext(ctx, "udp", address)
		if err != nil {
			return nil, err
		}
		local := probe.LocalAddr().String()
		_ = probe.Close() // nothing was sent
		host, _, err := net.SplitHostPort(local)
		if err != nil {
			return nil, err
		}
		return new(net.ListenConfig).ListenPacket(ctx, "udp", net.JoinHostPort(host, "0"))
	}
	var conn net.Conn
	var err error
	if uri.Scheme == stun.SchemeTypeTURNS {
		conn, err = (&tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots, ServerName: uri.Host}}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(d.timeout)) // a failure shows in what follows
	return pion.NewSTUNConn(conn), nil
}

// allocate asks for a relayed address and gives it back. It returns none where
// the relay would also serve what is not media.
func (d *Doctor) allocate(conn net.PacketConn, address string) (netip.AddrPort, error) {
	until := d.now().Add(time.Minute).Unix()
	name := fmt.Sprintf("%d:%s", until, app.TURNProbe)
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	c, err := pion.NewClient(&pion.ClientConfig{
		STUNServerAddr: address, TURNServerAddr: address, Username: name, Password: turn.Password(d.turnKey, name), Realm: d.cfg.Domain,
		Conn: conn, LoggerFactory: quiet, RequestedAddressFamily: pion.RequestedAddressFamilyIPv4,
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer c.Close()
	if err := c.Listen(); err != nil {
		return netip.AddrPort{}, err
	}
	relay, err := c.Allocate()
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer func() { _ = relay.Close() }() // it ends by itself, too
	if c.CreatePermission(&net.UDPAddr{IP: net.IPv4(169, 254, 169, 254), Port: 80}) == nil {
		return netip.AddrPort{}, nil
	}
	return relay.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}
