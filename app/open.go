package app

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"commsd/identity"
	"commsd/internal/blob"
	"commsd/internal/bus"
	"commsd/internal/netlimit"
	"commsd/internal/secret"
	"commsd/internal/sqldb"
	"commsd/sfu"
	"commsd/signaling"
	"commsd/signaling/turn"
)

// service is something that runs until its context is done.
type service struct {
	name string
	run  func(context.Context) error
}

// node is what Run has opened: listeners, stores, and the services on them.
type node struct {
	addrs  map[string]net.Addr
	db     *sqldb.DB
	bus    bus.Bus
	blobs  blob.Store
	secret *secret.Store
	media  *sfu.SFU
	relay  *turn.Server // nil without turn.*
	rooms  *signaling.Service

	cores   []service                   // end last: the directory, the queue, the SFU
	fronts  []service                   // end first: what people are connected to
	revokes []func(identity.Revocation) // each closes what hangs on an ended account or session
	drains  []func(context.Context)     // let nobody new in, tell sockets to go elsewhere; all at once

	public  *http.Server
	admin   *http.Server
	cluster *http.Server   // for other nodes; nil: they do not reach this one
	closers []func() error // in the order of opening

	connections int // at once, of pages, and as many of other nodes
}

// open binds every listener first, then reaches for the outside services, and
// only then touches the data folder, so that a wrong configuration leaves
// nothing half-made behind. On an error all that was opened is closed again.
func (a *App) open(ctx context.Context) (_ *node, err error) {
	n := &node{addrs: map[string]net.Addr{}, connections: a.mostConnections()}
	defer func() {
		if err != nil {
			n.releaseMedia()
			_ = n.close() // the first error is the one to tell
		}
	}()

	listeners := map[string]net.Listener{}
	for _, l := range a.cfg.listeners() {
		if l.value == "" || l.media {
			continue
		}
		ln, err := listen(ctx, l.key, l.value)
		if err != nil {
			return nil, err
		}
		// Whoever serves it closes it first; closing twice does no harm.
		n.closers = append(n.closers, func() error { return ignoreClosed(ln.Close()) })
		n.addrs[l.key] = ln.Addr()
		listeners[l.key] = ln
	}
	a.fixPublicPort(listeners["http.listen"].Addr())
	certificate, err := a.httpCertificate()
	if err != nil {
		return nil, err
	}
	if err := a.openMedia(n); err != nil {
		return nil, err
	}
	relayed, err := a.listenTURN(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := a.openStores(ctx, n); err != nil {
		return nil, err
	}
	if err := a.constructTURN(ctx, n, relayed, listeners["turn.tls_listen"], certificate); err != nil {
		return nil, err
	}
	handler, err := a.construct(ctx, n, listeners)
	if err != nil {
		return nil, err
	}
	n.public = newServer(a.gate.handler(handler), a.log)
	n.admin = newServer(adminHandler(&a.gate, n.db.Ping, a.reg), a.log)
	pages := a.limitHTTP(listeners["http.listen"], n.connections)
	serveHTTP := func(context.Context) error { return n.public.Serve(pages) }
	if certificate != nil {
		n.public.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate}}
		serveHTTP = func(context.Context) error { return n.public.ServeTLS(pages, "", "") }
		if a.cfg.TURN.ShareHTTPS {
			serveHTTP = func(context.Context) error { return a.serveShared(n, pages) }
		}
	}
	n.fronts = append(n.fronts, service{"http", serveHTTP})
	n.cores = append(n.cores, service{"admin", func(context.Context) error { return n.admin.Serve(listeners["admin.listen"]) }})
	return n, nil
}

func (a *App) openStores(ctx context.Context, n *node) (err error) {
	if n.bus, err = bus.Open(ctx, bus.Config{URL: a.cfg.Redis.URL, Log: a.log, Registerer: a.reg}); err != nil {
		return err
	}
	n.closers = append(n.closers, n.bus.Close)
	if a.cfg.Blobs.URL != "" { // an unreachable bucket is told before the data folder is made
		if n.blobs, err = blob.Open(ctx, blob.Config{URL: a.cfg.Blobs.URL, Log: a.log}); err != nil {
			return err
		}
	}
	// A key file of one's own is read before the data folder is made; the
	// default one is made inside it.
	var key *secret.Key
	if a.cfg.SecretKeyFile != "" {
		if key, err = secret.OpenKey(a.cfg.SecretKeyFile); err != nil {
			return err
		}
	}
	if n.db, err = sqldb.Open(ctx, sqldb.Config{URL: a.cfg.Database.URL, DataDir: a.cfg.DataDir, MaxConns: a.cfg.Database.MaxConnections, Log: a.log, Registerer: a.reg}); err != nil {
		return err
	}
	n.closers = append(n.closers, n.db.Close)
	if n.blobs == nil {
		if n.blobs, err = blob.Open(ctx, blob.Config{DataDir: a.cfg.DataDir, Log: a.log}); err != nil {
			return err
		}
	}
	if key == nil {
		// PostgreSQL does not make the folder, and no blob has yet.
		if err := os.MkdirAll(a.cfg.DataDir, 0o700); err != nil {
			return keyErrorf("data_dir", "cannot make the folder %s: %w; choose one that this user may write", a.cfg.DataDir, err)
		}
		if key, err = secret.OpenKey(filepath.Join(a.cfg.DataDir, "secret.key")); err != nil {
			return err
		}
	}
	n.secret = secret.New(n.db, key)
	return n.secret.CheckKey(ctx)
}

// close closes what is open, newest first.
func (n *node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i]())
	}
	n.closers = nil
	return errors.Join(errs...)
}

func listen(ctx context.Context, key, address string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, listenError(key, address, err)
	}
	return ln, nil
}

func listenError(key, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return keyErrorf(key, "%s is in use by another program; stop it or choose another port", address)
	case errors.Is(err, syscall.EACCES):
		return keyErrorf(key, "this user may not listen on %s; choose a port over 1024, or grant CAP_NET_BIND_SERVICE", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return keyErrorf(key, "%s is no address of this machine; choose one that `ip address` shows", address)
	}
	return keyErrorf(key, "cannot listen on %s: %w", address, err)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// httpCertificate loads the certificate of the public listener; nil without one.
func (a *App) httpCertificate() (*tls.Certificate, error) {
	t := a.cfg.HTTP.TLS
	if t.Cert == "" {
		return nil, nil //nolint:nilnil // no certificate is an ordinary answer
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, keyErrorf("http.tls", "cannot use %s with %s: %w", t.Cert, t.Key, err)
	}
	return &pair, nil
}

// limitHTTP bounds the connections of the public listener, so that whoever
// opens many leaves file descriptors for mail and media.
func (a *App) limitHTTP(ln net.Listener, limit int) net.Listener {
	return netlimit.Wrap(ln, netlimit.Config{
		Max: limit, PerAddress: a.cfg.HTTP.MaxConnectionsPerAddress, First: -1, // the HTTP server has deadlines of its own
		Exempt:  a.trusted(),
		Refused: func(remote string) { a.log.Warn("too many HTTP connections", "remote", remote) },
		Short:   func(err error) { a.log.Error("HTTP connections cannot be accepted for now", "err", err) },
	})
}

// limitCluster is limitHTTP for the other nodes' listener. One of them may hand
// on everybody's connections, so that addresses are not told apart.
func (a *App) limitCluster(ln net.Listener, limit int) net.Listener {
	return netlimit.Wrap(ln, netlimit.Config{
		Max: limit, PerAddress: limit, First: -1,
		Refused: func(remote string) { a.log.Warn("too many connections to the port of other nodes", "remote", remote) },
		Short:   func(err error) { a.log.Error("other nodes' connections cannot be accepted for now", "err", err) },
	})
}

// limitMediaTCP is limitHTTP for ICE over TCP: a browser makes connections
// where UDP works, too, one for each of its interfaces and our addresses.
func (a *App) limitMediaTCP(ln net.Listener) net.Listener {
	return netlimit.Wrap(ln, netlimit.Config{
		Max: a.cfg.Media.TCPMaxConnections, PerAddress: a.cfg.Media.TCPMaxConnectionsPerAddress, First: -1, // Pion gives them 30 s
		Exempt:  a.trusted(),
		Refused: func(remote string) { a.log.Warn("too many media connections over TCP", "remote", remote) },
		Short:   func(err error) { a.log.Error("media connections over TCP cannot be accepted for now", "err", err) },
	})
}

// trusted tells which addresses are those of a proxy in front, whose
// connections are many people's.
func (a *App) trusted() func(netip.Addr) bool {
	proxies := a.cfg.proxies()
	return func(ip netip.Addr) bool { return within(proxies, ip) }
}

// mostConnections bounds the connections of one listener: pages and other nodes
// share what there is, since strangers may reach the port of either.
func (a *App) mostConnections() int {
	limit := a.cfg.HTTP.MaxConnections
	if limit == 0 {
		limit = 20000
		var files syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
			limit = int(min(files.Cur/2, 1<<20))
		}
		if limit < 2000 {
			a.log.Warn("the process may open few files; each connection needs one", "limit", files.Cur, "cure", "raise LimitNOFILE or ulimit -n")
		}
	}
	if a.cfg.Cluster.Listen != "" {
		limit /= 2
	}
	return max(limit, 1) // 0 is netlimit's default
}

func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second, // slowloris
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// shutdown lets the requests under way end until ctx is done, then cuts them.
func shutdown(ctx context.Context, srv *http.Server, log *slog.Logger) {
	if err := srv.Shutdown(ctx); err != nil {
		log.Warn("requests were cut off at the deadline", "err", err)
		_ = srv.Close() // nothing waits for them any more
	}
}

// fixPublicPort writes the real port into the public address when the
// configuration left the choice to the kernel (port 0), as tests do.
func (a *App) fixPublicPort(addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	if _, port, _ := net.SplitHostPort(a.cfg.HTTP.Listen); ok && port == "0" {
		a.public.Host = net.JoinHostPort(a.public.Hostname(), strconv.Itoa(tcp.Port))
		a.cfg.HTTP.PublicURL = a.public.String()
	}
}
