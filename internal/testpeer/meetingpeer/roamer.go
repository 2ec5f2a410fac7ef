package meetingpeer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lk "commsd/internal/lkproto"
)

// pauses is when livekit-client 2.23 tries again (DEFAULT_RETRY_DELAYS_IN_MS),
// without its jitter.
var pauses = []time.Duration{0, 300 * time.Millisecond, 1200 * time.Millisecond, 2700 * time.Millisecond, 4800 * time.Millisecond, 7 * time.Second}

// Visit is one place that a Roamer had.
type Visit struct {
	SID  string
	Node string // as the server calls itself
	At   time.Time
	Up   time.Time // when media flowed; zero: it has not
	Left time.Time // zero: it lasts
	// Why it ended; nil where the socket broke.
	Why *lk.LeaveRequest
	// Resumed tells that a socket broke meanwhile and another took its place.
	Resumed int
}

// Roamer stays in a room as a stock client does: when its socket breaks it
// tries to resume, and when it is told to reconnect it joins again.
type Roamer struct {
	// Set at construction.
	cfg Config
	url func(attempt int) string

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed and renewed with each change
	visits  []Visit       // guarded by mu
	tries   []error       // guarded by mu; attempts that failed
}

// NewRoamer returns a Roamer that asks address where to connect to, with how
// many attempts failed since it was in.
func NewRoamer(cfg Config, address func(attempt int) string) *Roamer {
	return &Roamer{cfg: cfg, url: address, changed: make(chan struct{})}
}

// Run joins, and stays until ctx ends or it is told to disconnect.
func (r *Roamer) Run(ctx context.Context) error {
	var p *Peer // the latest; its media lives as long as its place
	defer func() {
		if p != nil {
			_ = p.Close() // the server may have closed before
		}
	}()
	resume := "" // the SID
	for attempt := 0; ; attempt++ {
		pause := time.NewTimer(pauses[min(attempt, len(pauses)-1)])
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
		next, err := r.connect(ctx, p, resume, r.url(attempt))
		if err != nil {
			r.note(func() { r.tries = append(r.tries, err) })
			continue
		}
		p = next
		in, leave := r.stay(ctx, p, resume)
		switch {
		case leave == nil && ctx.Err() != nil:
			return p.Signal(&lk.SignalRequest{Message: &lk.SignalRequest_Leave{Leave: &lk.LeaveRequest{}}})
		case leave == nil && in != "":
			resume = in
		case leave == nil:
		case leave.GetAction() == lk.LeaveRequest_DISCONNECT:
			return fmt.Errorf("meetingpeer: told to leave: %v", leave.GetReason())
		default:
			resume = ""
		}
		if in != "" {
			attempt = -1
		}
	}
}

// connect opens a socket, for the place to resume or for a new one.
func (r *Roamer) connect(ctx context.Context, p *Peer, resume, address string) (*Peer, error) {
	if resume != "" {
		return p.Resume(ctx, address, resume)
	}
	if p != nil {
		_ = p.Close() // the server may have closed before
	}
	cfg := r.cfg
	cfg.URL = address
	return Dial(ctx, cfg)
}

// stay is in the room until the socket ends. It returns the SID, empty where it
// was not let in, and the last word of the server.
func (r *Roamer) stay(ctx context.Context, p *Peer, resumes string) (sid string, leave *lk.LeaveRequest) {
	watched, cancel := context.WithCancel(ctx)
	defer cancel()
	m, err := p.Await(watched, func(m *lk.SignalResponse) bool {
		return m.GetJoin() != nil || m.GetReconnect() != nil || m.GetLeave() != nil
	})
	if err != nil {
		return "", nil
	}
	if m.GetLeave() != nil {
		r.note(func() { r.tries = append(r.tries, fmt.Errorf("meetingpeer: leave, %v", m.GetLeave().GetReason())) })
		return "", m.GetLeave()
	}
	if m.GetReconnect() != nil {
		sid = resumes
		r.note(func() {
			v := &r.visits[len(r.visits)-1]
			v.Resumed, v.Left = v.Resumed+1, time.Time{}
		})
	} else {
		sid = m.GetJoin().GetParticipant().GetSid()
		r.note(func() {
			r.visits = append(r.visits, Visit{SID: sid, Node: m.GetJoin().GetServerInfo().GetNodeId(), At: time.Now()})
		})
	}
	last := func(change func(*Visit)) { r.note(func() { change(&r.visits[len(r.visits)-1]) }) }
	up := p.Up()
	for {
		select {
		case <-up:
			up = nil
			last(func(v *Visit) { v.Up = time.Now() })
			continue
		case <-p.Done():
		case <-ctx.Done():
		}
		break
	}
	for _, m := range p.Messages() {
		if m.GetLeave() != nil {
			leave = m.GetLeave()
		}
	}
	last(func(v *Visit) { v.Left, v.Why = time.Now(), leave })
	return sid, leave
}

func (r *Roamer) note(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Visits lists the places so far.
func (r *Roamer) Visits() []Visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Visit(nil), r.visits...)
}

// Await waits until the latest visit holds for accept.
func (r *Roamer) Await(ctx context.Context, accept func(n int, v Visit) bool) (Visit, error) {
	for {
		r.mu.Lock()
		n, changed, tries := len(r.visits), r.changed, r.tries
		var v Visit
		if n > 0 {
			v = r.visits[n-1]
		}
		r.mu.Unlock()
		if n > 0 && accept(n, v) {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return v, fmt.Errorf("meetingpeer: visit %d is %+v after %d attempts that failed: %w", n, v, len(tries), errors.Join(append(tries, ctx.Err())...))
		}
	}
}
