// Command forwarder is the baseline of the media plane's measurements: the
// plainest forwarder that Pion makes easy (a TrackLocalStaticRTP for each
// published track, Pion's default interceptors, a socket for each connection),
// behind enough of LiveKit's signalling for the load driver of bench/media. It
// forwards the highest layer to everybody, believes every token and listens on
// loopback alone.
//
// It must not use the server's own packages: it stands for what one has
// without them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "forwarder:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context) error {
	listen := flag.String("listen", "127.0.0.1:7890", "address of the signalling, on loopback")
	flag.Parse()
	if ap, err := netip.ParseAddrPort(*listen); err != nil || !ap.Addr().IsLoopback() {
		return fmt.Errorf("-listen: %q is no address and port of loopback", *listen)
	}
	api, err := newAPI()
	if err != nil {
		return err
	}
	s := &server{api: api, rooms: make(map[string]*room)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rtc", s.serve)
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() })
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
