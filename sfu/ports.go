package sfu

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/transport/v5/packetio"
	"github.com/pion/webrtc/v4"

	"commsd/internal/errcode"
	"commsd/sfu/udpmux"
)

// tcpQueue is how many packets of a client's TCP connection may wait; Pion keeps
// the room for them with each connection, used or not.
const tcpQueue = 32

// ports are the bound sockets.
type ports struct {
	udp []*udpmux.Group
	tcp []net.Listener

	udpMux io.Closer // set by newKit; may be nil
	tcpMux io.Closer
}

// ListenError is the cause of an error of SFU.Listen: what the kernel says of a
// port.
type ListenError struct {
	Key     string // of the configuration
	Address string // as it stands there
	Err     error
}

func (e *ListenError) Error() string { return e.Err.Error() }

// Unwrap returns what the kernel says.
func (e *ListenError) Unwrap() error { return e.Err }

// listenAddr reads "host:port", where host is an IP address or empty for all.
func listenAddr(s string) (netip.AddrPort, error) {
	host, _, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("split: %w", err)
	}
	if host == "" {
		s = "0.0.0.0" + s
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("parse: %w", err)
	}
	return ap, nil
}

// network is the one to listen on for an address: Go takes 0.0.0.0 of "udp" for
// IPv6 as well, but who writes it does not mean that.
func network(proto, listen string, addr netip.Addr) string {
	if addr.Is4() && !strings.HasPrefix(listen, ":") {
		return proto + "4"
	}
	return proto
}

// listen binds what cfg names.
func listen(cfg Config) (*ports, error) {
	p := &ports{}
	fail := func(key, addr string, err error) (*ports, error) {
		p.close()
		return nil, errcode.Wrap(&ListenError{key, addr, err}, errcode.Unavailable, "%s: cannot listen on %s", key, addr)
	}
	if cfg.UDPListen != "" {
		first, err := listenAddr(cfg.UDPListen)
		if err != nil {
			return nil, err
		}
		port := first.Port()
		for i, addr := range addresses(first.Addr(), cfg.MachineAddresses) {
			g, err := udpmux.Listen(network("udp", cfg.UDPListen, addr), netip.AddrPortFrom(addr, port), cfg.UDPSockets)
			if err != nil {
				if i > 0 { // an address of the machine that cannot be had is none of ours
					continue
				}
				return fail("media.udp_listen", cfg.UDPListen, err)
			}
			p.udp = append(p.udp, g)
			port = g.Addr().Port()
		}
	}
	if cfg.UDPListen == "" && cfg.Relayed {
		p.udp = append(p.udp, udpmux.RelayedGroup())
	}
	if cfg.TCPListen != "" {
		first, err := listenAddr(cfg.TCPListen)
		if err != nil {
			return nil, err
		}
		port := first.Port()
		for i, addr := range addresses(first.Addr(), cfg.MachineAddresses) {
			l, err := net.ListenTCP(network("tcp", cfg.TCPListen, addr), net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
			if err != nil {
				if i > 0 {
					continue
				}
				return fail("media.tcp_listen", cfg.TCPListen, err)
			}
			p.tcp = append(p.tcp, l)
			port = uint16(l.Addr().(*net.TCPAddr).Port)
		}
	}
	return p, nil
}

// addresses lists what to bind for a listen address: itself and, for loopback
// where that is asked for, the machine's other addresses.
func addresses(listen netip.Addr, machine bool) []netip.Addr {
	all := []netip.Addr{listen}
	if !machine || !listen.IsLoopback() {
		return all
	}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return all
	}
	for _, a := range found {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		if addr = addr.Unmap(); ok && addr.IsGlobalUnicast() {
			all = append(all, addr)
		}
	}
	return all
}

func (p *ports) udpAddrs() []netip.AddrPort {
	out := make([]netip.AddrPort, 0, len(p.udp))
	for _, g := range p.udp {
		if !g.Relayed() {
			out = append(out, g.Addr())
		}
	}
	return out
}

func (p *ports) tcpAddrs() []netip.AddrPort {
	out := make([]netip.AddrPort, 0, len(p.tcp))
	for _, l := range p.tcp {
		out = append(out, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return out
}

// close releases everything. Errors of closing have no reader.
func (p *ports) close() {
	if p.udpMux != nil {
		_ = p.udpMux.Close()
	}
	if p.tcpMux != nil {
		_ = p.tcpMux.Close()
	}
	for _, g := range p.udp {
		_ = g.Close()
	}
	for _, l := range p.tcp {
		_ = l.Close()
	}
}

// kit is what PeerConnections are made of.
type kit struct {
	settings   webrtc.SettingEngine
	media      *webrtc.MediaEngine
	udp        *udpmux.Mux // may be nil
	interfaces interfaces
}

// api makes the factory of one connection, with ICE lite or full, whose streams
// end in buffers of its own.
func (k *kit) api(lite bool, together *udpmux.Gathering, buffer func(packetio.BufferPacketType, uint32) io.ReadWriteCloser) *webrtc.API {
	settings := k.settings
	if k.udp != nil {
		settings.SetICEUDPMux(k.udp.Gathered(together))
	}
	settings.SetNet(k.interfaces.look(time.Now()))
	settings.SetLite(lite)
	settings.BufferFactory = buffer
	// An empty registry: NACK, reports and feedback are ours, on the media path
	// Pion's cost more than the forwarding.
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(k.media), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
}

// newKit starts the readers of the shared sockets, which end with ports.close.
func newKit(cfg Config, p *ports, relays *udpmux.Relay, m *metrics, log *slog.Logger) (*kit, error) {
	var se webrtc.SettingEngine
	loggers := pionLoggers{log}
	se.LoggerFactory = loggers
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled) // asks the network nothing
	se.DisableActiveTCP(true)
	// Clients are reached by peer-reflexive pairs alone, see transport.candidate.
	se.SetPrflxAcceptanceMinWait(0)
	se.SetSRTPReplayProtectionWindow(512)
	se.SetSRTCPReplayProtectionWindow(512)
	se.SetReceiveMTU(maxRTPBytes)
	se.SetSCTPMaxMessageSize(maxDataBytes)
	// AES-GCM costs a third of AES-CM with HMAC-SHA1.
	se.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)

	// The muxes know their addresses; for TCP Pion asks the interfaces as well.
	bound := make(map[netip.Addr]bool)
	wildcard4, wildcard6, loopback := false, false, false
	for _, ap := range append(p.udpAddrs(), p.tcpAddrs()...) {
		addr := ap.Addr().Unmap()
		bound[addr] = true
		wildcard4 = wildcard4 || addr.IsUnspecified() // :: serves both
		wildcard6 = wildcard6 || addr.IsUnspecified() && addr.Is6()
		loopback = loopback || addr.IsLoopback()
	}
	se.SetIncludeLoopbackCandidate(loopback)
	se.SetIPFilter(func(ip net.IP) bool {
		addr, ok := netip.AddrFromSlice(ip)
		addr = addr.Unmap()
		wildcard := wildcard4 && addr.Is4() || wildcard6 && addr.Is6()
		return ok && (wildcard || bound[addr]) && !addr.IsLinkLocalUnicast()
	})
	if len(cfg.Advertise) > 0 {
		rule := webrtc.ICEAddressRewriteRule{External: cfg.Advertise, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace}
		none := rule // the address that only a relay reaches stays as it is
		none.Local, none.External = udpmux.RelayOnly.Addr().String(), []string{udpmux.RelayOnly.Addr().String()}
		if err := se.SetICEAddressRewriteRules(none, rule); err != nil {
			return nil, errcode.Wrap(err, errcode.Invalid, "media.advertise: cannot be used")
		}
	}
	var networks []webrtc.NetworkType
	var mux *udpmux.Mux
	if len(p.udp) > 0 {
		networks = append(networks, webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6)
		for _, g := range p.udp {
			// Of a server that listens on the machine's other addresses, too: the
			// kernel would carry a check from 127.0.0.1 to the machine's own address,
			// ICE would choose that pair, and Firefox, which answers the check, sends
			// no media to loopback.
			if len(p.udp) > 1 && g.Addr().Addr().IsLoopback() {
				g.OnlyLoopback()
			}
		}
		mux = udpmux.New(p.udp, udpmux.Config{Hold: cfg.SendHold, Relay: relays, Metrics: m.udp, Clock: clockBase})
		p.udpMux = mux
	}
	if len(p.tcp) > 0 {
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
		limited := slices.Clone(p.tcp)
		for i, l := range limited {
			if cfg.LimitTCP != nil {
				limited[i] = cfg.LimitTCP(l)
			}
		}
		mux := webrtc.NewICETCPMux(loggers.NewLogger("tcpmux"), joinListeners(limited, log), tcpQueue)
		se.SetICETCPMux(mux)
		p.tcpMux = mux
	}
	se.SetNetworkTypes(networks)

	media, err := newMediaEngine()
	if err != nil {
		return nil, err
	}
	return &kit{settings: se, media: media, udp: mux}, nil
}

// joinedListener accepts from several listeners on one port as if they were
// one that listens on all addresses.
type joinedListener struct {
	all   []net.Listener
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

func joinListeners(all []net.Listener, log *slog.Logger) net.Listener {
	j := &joinedListener{all: all, conns: make(chan net.Conn), done: make(chan struct{})}
	j.addr = all[0].Addr()
	if len(all) > 1 {
		j.addr = &net.TCPAddr{IP: net.IPv4zero, Port: all[0].Addr().(*net.TCPAddr).Port}
	}
	for _, l := range all {
		j.wg.Add(1)
		go func() {
			defer j.wg.Done()
			pause := time.Duration(0)
			for {
				c, err := l.Accept()
				if err != nil && !errors.Is(err, net.ErrClosed) {
					// Out of file descriptors, perhaps: Pion would never accept again.
					if pause == 0 {
						log.Warn("media connections over TCP cannot be accepted for now", "err", err)
					}
					pause = min(max(2*pause, 5*time.Millisecond), time.Second)
					select {
					case <-time.After(pause):
						continue
					case <-j.done:
						return
					}
				}
				if err != nil {
					return
				}
				pause = 0
				select {
				case j.conns <- c:
				case <-j.done:
					_ = c.Close()
				}
			}
		}()
	}
	return j
}

// Accept waits for the next connection of any listener.
func (j *joinedListener) Accept() (net.Conn, error) {
	select {
	case c := <-j.conns:
		return c, nil
	case <-j.done:
		return nil, net.ErrClosed
	}
}

// Close closes all listeners and waits for their goroutines.
func (j *joinedListener) Close() error {
	var err error
	j.once.Do(func() {
		close(j.done)
		for _, l := range j.all {
			err = errors.Join(err, l.Close())
		}
		j.wg.Wait()
	})
	return err
}

// Addr is the unspecified address with the common port.
func (j *joinedListener) Addr() net.Addr { return j.addr }

// pionLoggers leads Pion's logs into ours. Pion warns of what any client can
// cause, so its warnings are for debugging.
type pionLoggers struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (f pionLoggers) NewLogger(scope string) logging.LeveledLogger {
	return pionLogger{f.log.With("pion", scope)}
}

type pionLogger struct{ log *slog.Logger }

func (pionLogger) Trace(string)                   {}
func (pionLogger) Tracef(string, ...any)          {}
func (pionLogger) Debug(string)                   {}
func (pionLogger) Debugf(string, ...any)          {}
func (pionLogger) Info(string)                    {}
func (pionLogger) Infof(string, ...any)           {}
func (l pionLogger) Warn(msg string)              { l.log.Debug(msg) }
func (l pionLogger) Warnf(f string, args ...any)  { l.log.Debug(fmt.Sprintf(f, args...)) }
func (l pionLogger) Error(msg string)             { l.log.Debug(msg) }
func (l pionLogger) Errorf(f string, args ...any) { l.log.Debug(fmt.Sprintf(f, args...)) }
