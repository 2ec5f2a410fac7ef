package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const expiresSoon = 30 * 24 * time.Hour

// checkCertificate looks at the certificate of pages and mail.
func (d *Doctor) checkCertificate(context.Context) {
	const check = "certificate"
	public, err := url.Parse(d.cfg.HTTP.PublicURL)
	if err != nil {
		return // the configuration was checked
	}
	c := d.cfg.HTTP.TLS
	if c.Cert == "" {
		switch {
		case public.Scheme == "https":
			d.skip(check, "http.public_url is https without http.tls: a proxy in front ends TLS")
		case !loopbackHost(public.Hostname()):
			d.fail(check, "pages are served over plain http at "+public.Host+": passwords travel in clear, and browsers give neither camera nor passkeys", "set http.tls.cert and http.tls.key, and https in http.public_url")
		default:
			d.skip(check, "plain http on loopback needs none")
		}
		d.warn("certificate of mail", "it is made by commsd itself; mail clients warn of it", "set http.tls, or give people "+filepath.Join(d.cfg.DataDir, "mail.crt"))
		return
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		d.fail(check, oneLine(err), "give http.tls.cert and http.tls.key files in PEM that belong together")
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		d.fail(check, oneLine(err), "put the server's certificate first in "+c.Cert)
		return
	}
	now := d.now()
	switch left := leaf.NotAfter.Sub(now); {
	case now.Before(leaf.NotBefore):
		d.fail(check, "it is valid from "+leaf.NotBefore.Format(time.DateTime)+" on", "wait, or set the clock")
	case left <= 0:
		d.fail(check, "it expired on "+leaf.NotAfter.Format(time.DateTime), "renew it and restart commsd")
	case left < expiresSoon:
		d.warn(check, fmt.Sprintf("it expires in %d days", int(left.Hours()/24)), "renew it and restart commsd")
	default:
		d.ok(check, "valid until %s", leaf.NotAfter.Format(time.DateOnly))
	}
	for _, host := range []string{public.Hostname(), d.cfg.Domain} {
		if err := leaf.VerifyHostname(host); err == nil {
			continue
		}
		if host == public.Hostname() {
			d.fail("certificate's name", "it is not made out to "+host, "get one for the host of http.public_url")
		} else {
			d.warn("certificate's name", "it is not made out to "+host, "add the name, if mail clients or servers connect to it")
		}
	}
}

// checkPorts tries to listen where the configuration says, or finds that
// commsd does already.
func (d *Doctor) checkPorts(ctx context.Context) {
	serving := d.serves(ctx)
	var lc net.ListenConfig
	for _, l := range d.cfg.Listeners() {
		check := "port " + l.Key
		var err error
		if l.UDP {
			var pc net.PacketConn
			if pc, err = lc.ListenPacket(ctx, "udp", l.Address); err == nil {
				_ = pc.Close() // it was a probe
			}
		} else {
			var ln net.Listener
			if ln, err = lc.Listen(ctx, "tcp", l.Address); err == nil {
				_ = ln.Close() // it was a probe
			}
		}
		switch {
		case err == nil && serving:
			d.warn(check, l.Address+" is free though commsd runs", "restart commsd: its configuration has changed since")
		case err == nil:
			d.ok(check, "%s is free", l.Address)
		case errors.Is(err, syscall.EADDRINUSE) && serving:
			d.ok(check, "%s is served", l.Address)
		case errors.Is(err, syscall.EADDRINUSE):
			d.fail(check, l.Address+" is in use by another program", "stop it (ss -lptn shows which), or choose another port")
		case errors.Is(err, syscall.EACCES):
			d.fail(check, "this user may not listen on "+l.Address, "AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or a port over 1024")
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			d.fail(check, l.Address+" is no address of this machine", "choose one that `ip address` shows")
		default:
			d.fail(check, oneLine(err), "correct "+l.Key)
		}
	}
}

// serves tells whether a commsd answers at the admin listener.
func (d *Doctor) serves(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.cfg.Admin.Listen+"/healthz", nil)
	if err != nil {
		return false
	}
	rs, err := http.DefaultClient.Do(rq)
	if err != nil {
		return false
	}
	defer rs.Body.Close()
	return rs.StatusCode == http.StatusOK
}

// checkMedia looks at whether browsers elsewhere can reach the media.
func (d *Doctor) checkMedia(context.Context) {
	const check = "media"
	listen := d.cfg.Media.UDPListen
	if listen == "" {
		ways := "over TCP"
		if d.cfg.TURN.On() {
			ways += " and by the relay"
		}
		d.warn(check, "media flows "+ways+" alone", "set media.udp_listen: over TCP a lost packet stalls sound and picture")
		return
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return // the configuration was checked
	}
	public, err := url.Parse(d.cfg.HTTP.PublicURL)
	if err != nil {
		return
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case loopbackHost(host) && !loopbackHost(public.Hostname()) && d.cfg.TURN.On():
		d.warn(check, "media.udp_listen is "+listen+": all media goes through the relay", "set media.udp_listen to 0.0.0.0:7882, if that port can be opened: it is the best way")
	case loopbackHost(host) && !loopbackHost(public.Hostname()):
		d.fail(check, "media.udp_listen is "+listen+", but pages are served at "+public.Host, "set media.udp_listen to an address that officials' machines reach, such as 0.0.0.0:7882; behind NAT media.advertise, too")
	case len(d.cfg.Media.Advertise) > 0:
		d.ok(check, "told to browsers: %s", strings.Join(d.cfg.Media.Advertise, ", "))
	case err == nil && ip.IsUnspecified() && !anyPublic():
		d.warn(check, "this machine has private addresses only", "set media.advertise to the address that officials in other networks reach it by")
	default:
		d.ok(check, "%s", listen)
	}
}

// checkMediaTCP looks at the way that is left where a network blocks UDP.
func (d *Doctor) checkMediaTCP(context.Context) {
	const check = "media over TCP"
	listen := d.cfg.Media.TCPListen
	public, err := url.Parse(d.cfg.HTTP.PublicURL)
	switch {
	case err != nil: // the configuration was checked
	case listen == "":
		d.skip(check, "media.tcp_listen is empty: people whose network blocks UDP need the relay of turn.*")
	case loopbackHost(hostOf(listen)) && !loopbackHost(public.Hostname()):
		d.warn(check, "media.tcp_listen is "+listen+", but pages are served at "+public.Host,
			"set media.tcp_listen to an address that officials' machines reach, such as 0.0.0.0:7881, for networks that block UDP; or to \"\"")
	default:
		d.ok(check, "%s", listen)
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "" // the configuration was checked
	}
	return host
}

// anyPublic tells whether the machine has an address beyond private networks.
func anyPublic() bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // not to be told of what is not known
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() && !p.Addr().IsPrivate() {
			return true
		}
	}
	return false
}

func loopbackHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
