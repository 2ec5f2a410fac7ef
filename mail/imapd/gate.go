package imapd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"sync"
)

// maxLine is the longest line of a command, in bytes; go-imap takes less.
const maxLine = 64 << 10

var (
	errLine    = errors.New("imapd: a line is too long")
	literalEnd = regexp.MustCompile(`\{([0-9]+)(\+?)\}\r?\n$`)
)

// gate stands between a client and go-imap and makes every literal one that
// waits to be asked for (RFC 3501, section 4.3): go-imap v2.0.0-beta.8 does not
// read a literal that it refuses, and would take the bytes of one that comes
// unasked (RFC 7888) for commands, which others may have written.
type gate struct {
	net.Conn
	r *bufio.Reader

	// owned by the reader
	out     []byte   // to be read next
	left    int64    // bytes of a literal that pass as they are
	waiting *literal // its announcement was read
	within  bool     // the next line goes on with a command
	skip    bool     // the rest of this command is nobody's
	failed  error    // nothing is read any more

	mu        sync.Mutex
	announced *literal // guarded by mu
	answered  bool     // go-imap has answered the command that is being read; guarded by mu
	mute      bool     // leave the greeting out: there was one; guarded by mu
}

// literal is one that a client has announced.
type literal struct {
	n       int64
	unasked bool // its bytes come in any case
	asked   bool // go-imap wants it; guarded by the gate's mu
}

func newGate(c net.Conn, r io.Reader, mute bool) *gate {
	return &gate{Conn: c, r: bufio.NewReader(r), mute: mute}
}

// Read gives go-imap a line, or bytes of a literal that it asked for.
func (g *gate) Read(p []byte) (int, error) {
	n, err := g.read(p)
	if err != nil {
		g.failed = err // go-imap reads on after some errors
	}
	return n, err
}

func (g *gate) read(p []byte) (int, error) {
	for {
		switch {
		case g.failed != nil:
			return 0, g.failed
		case len(g.out) > 0:
			n := copy(p, g.out)
			g.out = g.out[n:]
			return n, nil
		case g.left > 0:
			n, err := g.r.Read(p[:min(int64(len(p)), g.left)])
			g.left -= int64(n)
			return n, err
		case g.waiting != nil:
			if err := g.decide(); err != nil {
				return 0, err
			}
		default:
			if err := g.line(); err != nil {
				return 0, err
			}
		}
	}
}

// decide finds what becomes of the literal that was announced, now that go-imap
// reads on.
func (g *gate) decide() error {
	l := g.waiting
	g.waiting = nil
	g.mu.Lock()
	g.announced = nil
	asked, answered := l.asked, g.answered
	g.mu.Unlock()
	switch {
	case asked:
		g.left = l.n
	case l.unasked:
		_, err := io.CopyN(io.Discard, g.r, l.n)
		return err
	case answered:
		g.within = false // the client does not send it, and begins anew
	default:
		g.within = false
		g.out = []byte("\r\n") // the client waits, and go-imap for the end of the command
	}
	return nil
}

// line reads a line and looks whether it announces a literal.
func (g *gate) line() error {
	g.mu.Lock()
	if !g.within {
		g.answered = false
	}
	g.skip = g.within && g.answered // else go-imap may be looking for its end
	g.mu.Unlock()
	var line []byte
	for {
		piece, err := g.r.ReadSlice('\n')
		if line = append(line, piece...); len(line) > maxLine {
			return errLine
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > 0 && errors.Is(err, io.EOF) && !g.skip {
				g.out = line // the reader finds the end by itself
				return nil
			}
			return err
		}
	}
	m := literalEnd.FindSubmatchIndex(line)
	if m == nil {
		g.within = false
		if !g.skip {
			g.out = line
		}
		return nil
	}
	g.within = true
	n, err := strconv.ParseInt(string(line[m[2]:m[3]]), 10, 64)
	if err != nil {
		return err
	}
	l := &literal{n: n, unasked: m[5] > m[4]}
	if g.skip {
		if !l.unasked {
			g.within = false // it was answered: the client does not send it
			return nil
		}
		_, err := io.CopyN(io.Discard, g.r, l.n)
		return err
	}
	g.out = append(append(line[:m[3]:m[3]], '}'), line[m[5]+1:]...)
	g.waiting = l
	g.mu.Lock()
	g.announced = l
	g.mu.Unlock()
	return nil
}

// Write passes what go-imap says on, but for the question for a literal that
// comes in any case.
func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	drop := g.mute
	g.mute = false
	switch {
	case bytes.HasPrefix(b, []byte("+ ")) && g.announced != nil:
		g.announced.asked = true
		drop = g.announced.unasked
	case !bytes.HasPrefix(b, []byte("*")):
		g.answered = true // or a piece of a long answer, when nothing is being read
	}
	g.mu.Unlock()
	if drop {
		return len(b), nil
	}
	return g.Conn.Write(b)
}
