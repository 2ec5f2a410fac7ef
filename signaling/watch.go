package signaling

import (
	"context"
	"errors"
	"net/http"
	"time"

	"commsd/signaling/owner"
)

// A node that loses its power, or stands still, closes no connection: whoever
// is led to it would wait for something to come until its own patience ends,
// 15 s with stock clients. So a node to which requests are handed on is asked
// now and then whether it is there, and all of them end when it is silent.

const (
	// probeEvery is the pause between two questions to a node that answers.
	probeEvery = time.Second
	// silentFor is how long a node may say nothing. A room is free after a lease
	// of 5 s, so less would gain little, and a busy node needs time.
	silentFor = 4 * time.Second
	// knownSilent is for how long a silent node is remembered that is asked for
	// nothing: as long as it may seem to have rooms, and then some.
	knownSilent = 15 * time.Second
	// pathAlive is what it is asked for. Any answer will do.
	pathAlive = "/node/alive"
)

var (
	errSilent     = errors.New("signaling: that node is silent")
	errFellSilent = errors.New("signaling: that node has fallen silent") // what it did before is not known
)

// watched is a node that requests are handed on to.
type watched struct {
	// Guarded by Service.mu.
	uses   int
	silent bool
	heard  context.Context // ends with errFellSilent when it falls silent
	fall   context.CancelCauseFunc
}

// watch returns a context for a request that is handed on to a node: it ends
// with ctx, or when the node falls silent. The error is errSilent for one that
// is silent already; else done must be called at the end.
func (s *Service) watch(ctx context.Context, to owner.Place) (_ context.Context, done func(), _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watched[to.Node]
	switch {
	case s.stop.Err() != nil:
		return nil, nil, errStopping
	case w == nil:
		w = &watched{}
		w.heard, w.fall = context.WithCancelCause(context.Background())
		s.watched[to.Node] = w
		s.watching.Go(func() { s.attend(to, w) })
	case w.silent:
		return nil, nil, errSilent
	}
	w.uses++
	ctx, cancel := context.WithCancelCause(ctx)
	heard := w.heard
	stop := context.AfterFunc(heard, func() { cancel(context.Cause(heard)) })
	return ctx, func() {
		stop()
		cancel(nil)
		s.mu.Lock()
		w.uses--
		s.mu.Unlock()
	}, nil
}

// attend asks a node until nobody is led to it any more.
func (s *Service) attend(to owner.Place, w *watched) {
	last := time.Now() // that it was heard
	pause := time.NewTimer(probeEvery)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-s.stop.Done():
			w.fall(errStopping)
			return
		}
		err := s.probe(to, max(time.Until(last.Add(silentFor)), probeEvery))
		wait := probeEvery
		if err == nil {
			last = time.Now()
		} else {
			wait = reachAgain
		}
		quiet := time.Since(last)
		s.mu.Lock()
		falls, rises := err != nil && !w.silent && quiet >= silentFor, err == nil && w.silent
		uses := w.uses
		over := uses == 0 && (err == nil || quiet > knownSilent)
		switch {
		case over:
			delete(s.watched, to.Node)
		case falls:
			w.silent = true
		case rises:
			w.silent = false
			w.heard, w.fall = context.WithCancelCause(context.Background())
		}
		s.mu.Unlock()
		switch {
		case over:
			w.fall(nil) // nobody hears it
			return
		case falls:
			w.fall(errFellSilent)
			s.log.Warn("a node does not answer; whoever was led to its meetings is to come again", "node", to.Node, "address", to.Address, "requests", uses, "err", err)
		case rises:
			s.log.Info("a node that was silent answers again", "node", to.Node, "address", to.Address)
		}
		pause.Reset(wait)
	}
}

// probe returns nil when a node answers anything at all.
func (s *Service) probe(to owner.Place, within time.Duration) error {
	ctx, cancel := context.WithTimeout(s.stop, within)
	defer cancel()
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+to.Address+pathAlive, nil)
	if err != nil {
		return err
	}
	res, err := s.peers.RoundTrip(rq)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
