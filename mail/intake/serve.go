package intake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/internal/netlimit"
)

// Serve runs srv on l until ctx ends: then it accepts nothing more, gives what
// is being said grace to end, closes the rest and waits for it. Whoever closes
// what l listens on has it accept nothing more from then on. With implicit set,
// connections begin with TLS. srv serves nothing else afterwards.
func Serve(ctx context.Context, srv *smtp.Server, l *netlimit.Listener, implicit *tls.Config, grace time.Duration) error {
	var front net.Listener = l
	if implicit != nil {
		front = tls.NewListener(l, implicit)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(front) }()

	var failed error
	select {
	case failed = <-served: // accepting failed by itself, or is no longer wanted
		if errors.Is(failed, net.ErrClosed) {
			<-ctx.Done()
		}
	case <-ctx.Done():
		// The loop that accepts ends before anyone counts what it has accepted.
		_ = l.Close() // it may be closed already
		failed = <-served
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Shutdown(context.WithoutCancel(ctx)) // the listener is closed; it waits for the connections
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		l.CloseConns()
		<-ended
	}
	if failed == nil || ctx.Err() != nil || errors.Is(failed, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("intake: accept: %w", failed)
}
