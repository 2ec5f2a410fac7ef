// Package app is the whole program without its command line: it reads the
// configuration, constructs every part, connects them, and starts and stops
// them in order. main and the end-to-end tests run the same App. It alone may
// import every other package; none of them knows it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
)

// Options is what an App needs beside its configuration.
type Options struct {
	Version  string
	Log      *slog.Logger
	Greeting io.Writer // gets the words for the person who started it; nil: nobody reads
	Now      func() time.Time
}

// App is one node. New checks, Run does everything.
type App struct {
	// Set at construction.
	cfg    Config
	opts   Options
	log    *slog.Logger
	public *url.URL
	reg    *prometheus.Registry
	gate   gate
	ready  chan struct{}

	// Set by Run before ready is closed.
	node *node
}

// StartError is a failure before the node served anything. Its text is one
// line that names the key and the cure.
type StartError struct{ Err error }

func (e *StartError) Error() string { return oneLine(e.Err.Error()) }

// Unwrap returns what went wrong.
func (e *StartError) Unwrap() error { return e.Err }

// New checks the configuration and starts nothing.
func New(cfg Config, opts Options) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	public, err := url.Parse(cfg.HTTP.PublicURL)
	if err != nil {
		return nil, keyErrorf("http.public_url", "%w", err)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &App{cfg: cfg, opts: opts, log: opts.Log, public: public, reg: reg, ready: make(chan struct{})}, nil
}

// Ready is closed once every listener serves.
func (a *App) Ready() <-chan struct{} { return a.ready }

// PublicURL is the address of the pages, with the real port where the
// configuration left the choice to the kernel. Call it after Ready.
func (a *App) PublicURL() string {
	<-a.ready
	return a.cfg.HTTP.PublicURL
}

// Addr is the address that the listener of a key ("http.listen") really has,
// which differs from the configured one where the port is 0. It is nil for a
// listener that is switched off. Call it after Ready.
func (a *App) Addr(key string) net.Addr {
	<-a.ready
	return a.node.addrs[key]
}

// Run serves until ctx is done, then stops in order. It returns a *StartError
// when it could not begin, nil after an orderly stop, and what failed
// otherwise. All that it started has ended when it returns.
func (a *App) Run(ctx context.Context) error {
	n, err := a.open(ctx)
	if err != nil {
		return &StartError{Err: err}
	}
	a.node = n

	// Front ends end before what they stand on, so each group has a context of
	// its own; neither is a child of ctx, whose end only begins the stop.
	core, endCore := context.WithCancel(context.WithoutCancel(ctx))
	defer endCore()
	front, endFront := context.WithCancel(core)
	defer endFront()

	failed := make(chan error, 1)
	fail := func(what string, err error) error {
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		err = fmt.Errorf("%s: %w", what, err)
		select {
		case failed <- err:
		default:
		}
		return err
	}
	var cores, fronts errgroup.Group
	for _, s := range n.cores {
		cores.Go(func() error { return fail(s.name, s.run(core)) })
	}
	for _, s := range n.fronts {
		fronts.Go(func() error { return fail(s.name, s.run(front)) })
	}
	a.greet(ctx, n)
	close(a.ready)
	for _, key := range slices.Sorted(maps.Keys(n.addrs)) {
		a.log.Info("listening", "key", key, "address", n.addrs[key].String())
	}
	a.log.Info("serving", "version", a.opts.Version, "page", a.cfg.HTTP.PublicURL, "database", n.db.Dialect().String(), "demo", a.cfg.Demo)

	var cause error
	select {
	case <-ctx.Done():
		a.log.Info("stopping", "timeout", a.cfg.Stop.Timeout)
	case cause = <-failed:
		a.log.Error("stopping after a failure", "err", cause)
	}
	stopErr := a.stop(context.WithoutCancel(ctx), n, endFront, &fronts, endCore, &cores)
	if cause == nil {
		cause = stopErr
	}
	a.log.Info("stopped")
	return cause
}

// stop is the one place that knows the order: refuse new work, tell sockets to
// go elsewhere, let requests and queues end within the deadline, end the front
// ends, then what they stand on, then the stores.
func (a *App) stop(ctx context.Context, n *node, endFront func(), fronts *errgroup.Group, endCore func(), cores *errgroup.Group) error {
	a.gate.closed.Store(true)
	drain, cancel := context.WithTimeout(ctx, a.cfg.Stop.Timeout)
	defer cancel()
	var drains sync.WaitGroup
	for _, d := range n.drains {
		drains.Go(func() { d(drain) })
	}
	drains.Wait()
	shutdown(drain, n.public, a.log)
	if n.cluster != nil {
		shutdown(drain, n.cluster, a.log)
	}
	endFront()
	err := fronts.Wait()
	endCore()
	// Last of all, so that readyz says "stopping" to the very end.
	shutdown(drain, n.admin, a.log)
	return errors.Join(err, cores.Wait(), n.close())
}
