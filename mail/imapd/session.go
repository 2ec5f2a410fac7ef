package imapd

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/mail/intake"
	"commsd/mail/store"
)

// session is one connection's. go-imap runs one command at a time, but after a
// broken end of IDLE it may still be telling changes when the next begins.
type session struct {
	// set at construction
	server *Server
	conn   *imapserver.Conn
	ctx    context.Context // the connection's lifetime
	cancel context.CancelFunc
	ended  chan struct{} // closed by Close

	// turn is held by what runs; it guards these
	turn     sync.Mutex
	closed   bool
	store    store.ID
	failures int
	box      *selected
	looked   time.Time // when it was last asked whether the person may still be here; zero: nobody is

	mu    sync.Mutex
	actor identity.Actor // guarded by mu
}

// enter waits until nothing else of the session runs; the caller calls leave.
func (s *session) enter() (leave func(), err error) {
	s.turn.Lock()
	if s.closed {
		s.turn.Unlock()
		return nil, net.ErrClosed
	}
	if err := s.again(); err != nil {
		s.turn.Unlock()
		return nil, err
	}
	return s.turn.Unlock, nil
}

// again asks once in AgainEvery whether what the person signed in by is good
// yet; the connection ends if not. The caller holds the turn.
func (s *session) again() error {
	if s.looked.IsZero() || time.Since(s.looked) < s.server.cfg.AgainEvery {
		return nil
	}
	s.looked = time.Now()
	ctx, cancel := s.op()
	defer cancel()
	now, old := s.server.revoked.Now(), s.signedIn()
	actor, err := s.server.cfg.Authenticator.AuthenticateAgain(ctx, old, "imap")
	if errcode.Of(err) == errcode.Unauthenticated {
		_ = s.conn.Bye(errcode.Message(err)) // it ends either way
		_ = s.conn.NetConn().Close()
		return net.ErrClosed
	}
	if err != nil { // the next asks again
		return nil
	}
	s.mu.Lock()
	s.actor = actor
	s.mu.Unlock()
	if s.server.revoked.Since(now, actor) {
		_ = s.conn.NetConn().Close()
		return net.ErrClosed
	}
	return nil
}

func (s *session) signedIn() identity.Actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.actor
}

func (s *session) op() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, opTimeout)
}

// Close ends the session once nothing of it runs.
func (s *session) Close() error {
	s.cancel()
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.unselect()
	s.server.mu.Lock()
	delete(s.server.sessions, s)
	s.server.mu.Unlock()
	close(s.ended)
	return nil
}

// Login signs the person in.
func (s *session) Login(login, password string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := s.op()
	defer cancel()
	if s.failures >= s.server.cfg.MaxFailures {
		return s.conn.NetConn().Close()
	}
	now := s.server.revoked.Now()
	actor, err := s.server.cfg.Authenticator.AuthenticatePassword(ctx, login, password, intake.IP(s.conn.NetConn().RemoteAddr()), "imap")
	if err != nil {
		s.failures++
		if errcode.Of(err) == errcode.Unauthenticated {
			return imapserver.ErrAuthFailed
		}
		return s.answer("LOGIN", err)
	}
	id, err := s.server.cfg.Store.Open(ctx, actor.Person, actor.Agency)
	if err != nil {
		return s.answer("LOGIN", err)
	}
	s.store, s.looked = id, time.Now()
	s.mu.Lock()
	s.actor = actor
	s.mu.Unlock()
	if s.server.revoked.Since(now, actor) {
		return s.conn.NetConn().Close()
	}
	return nil
}

// answers maps every code to what a client is told.
var answers = map[errcode.Code]imap.ResponseCode{
	errcode.Internal:        imap.ResponseCodeServerBug,
	errcode.Invalid:         imap.ResponseCodeCannot,
	errcode.Unauthenticated: imap.ResponseCodeAuthenticationFailed,
	errcode.Forbidden:       imap.ResponseCodeNoPerm,
	errcode.NotFound:        imap.ResponseCodeNonExistent,
	errcode.Conflict:        imap.ResponseCodeAlreadyExists,
	errcode.TooLarge:        imap.ResponseCodeLimit,
	errcode.RateLimited:     imap.ResponseCodeLimit,
	errcode.Unavailable:     imap.ResponseCodeUnavailable,
	errcode.Gone:            imap.ResponseCodeNonExistent,
	errcode.Locked:          imap.ResponseCodeNoPerm, // no session of a page comes here
}

func (s *session) answer(command string, err error) error {
	if err == nil {
		return nil
	}
	var ready *imap.Error
	if errors.As(err, &ready) {
		return ready
	}
	code := errcode.Of(err)
	if code == errcode.Internal {
		s.server.cfg.Log.Error("an IMAP command failed", "command", command, "account", s.signedIn().Account, "err", err)
	}
	return no(answers[code], errcode.Message(err))
}

func no(code imap.ResponseCode, text string) *imap.Error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: code, Text: text}
}

func bad(text string) *imap.Error {
	return &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: text}
}

// selected is a mailbox as this client knows it.
type selected struct {
	mailbox  store.Mailbox
	readOnly bool
	uids     []uint32 // in the client's order: the place, from 1, is the sequence number
	modseq   int64    // up to which the client has been told
	gone     []uint32 // removed, but not told yet
	own      int64    // modseq of this session's last silent change
	watch    *store.Watch
}

// place returns the sequence number of a UID, 0 where the client has none.
func (b *selected) place(uid uint32) uint32 {
	i, ok := slices.BinarySearch(b.uids, uid)
	if !ok {
		return 0
	}
	return uint32(i + 1) // fewer than there are UIDs
}

// resolve lists the UIDs that a set of numbers names, ascending.
func (b *selected) resolve(set imap.NumSet) ([]uint32, error) {
	named := make([]bool, len(b.uids))
	mark := func(from, to int) {
		for i := max(from, 0); i <= min(to, len(named)-1); i++ {
			named[i] = true
		}
	}
	last := uint32(len(b.uids)) // UIDs are 32 bits
	switch set := set.(type) {
	case imap.SeqSet:
		for _, r := range set {
			from, to := ends(r.Start, r.Stop, last)
			if last > 0 {
				mark(int(from)-1, int(to)-1)
			}
		}
	case imap.UIDSet:
		if imap.IsSearchRes(set) {
			return nil, bad("SEARCHRES is not offered")
		}
		var highest uint32
		if last > 0 {
			highest = b.uids[last-1]
		}
		for _, r := range set {
			from, to := ends(uint32(r.Start), uint32(r.Stop), highest)
			lo, _ := slices.BinarySearch(b.uids, from)
			hi, exact := slices.BinarySearch(b.uids, to)
			if !exact {
				hi--
			}
			mark(lo, hi)
		}
	}
	var out []uint32
	for i, yes := range named {
		if yes {
			out = append(out, b.uids[i])
		}
	}
	return out, nil
}

// names tells whether a set of numbers names uid, which is in the mailbox.
func (b *selected) names(set imap.NumSet, uid uint32) bool {
	last := uint32(len(b.uids)) // UIDs are 32 bits
	switch set := set.(type) {
	case imap.SeqSet:
		seq := b.place(uid)
		for _, r := range set {
			if from, to := ends(r.Start, r.Stop, last); seq >= from && seq <= to {
				return true
			}
		}
	case imap.UIDSet:
		if last == 0 || imap.IsSearchRes(set) {
			return false
		}
		for _, r := range set {
			if from, to := ends(uint32(r.Start), uint32(r.Stop), b.uids[last-1]); uid >= from && uid <= to {
				return true
			}
		}
	}
	return false
}

// ends puts a range in order; 0 stands for "*".
func ends(from, to, star uint32) (uint32, uint32) {
	if from == 0 {
		from = star
	}
	if to == 0 {
		to = star
	}
	return min(from, to), max(from, to)
}

var errReadOnly = no(imap.ResponseCodeNoPerm, "the mailbox was opened to be read only")

// mailbox finds one by name.
func (s *session) mailbox(ctx context.Context, name string) (store.Mailbox, error) {
	return s.server.cfg.Store.MailboxNamed(ctx, s.store, name)
}

var (
	_ imapserver.Session          = (*session)(nil)
	_ imapserver.SessionNamespace = (*session)(nil)
	_ imapserver.SessionMove      = (*session)(nil)
)
